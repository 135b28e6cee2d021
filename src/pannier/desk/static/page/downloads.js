// Downloads of this browser: started through its own list of downloads, watched through their sessions.

import { Watch, quarter, row as told, saved } from "./activity.js";
import { percent } from "./numbers.js";
import { Saver } from "./saver.js";

const SHOWN = 2_000; // milliseconds between looks
const HIDDEN = 15_000;
const STORE = "pannier.downloads";

export class Downloads {
  #entries = new Map(); // by id of session: {session, watch, request, url, saver}; the last three null after a reload
  #timer = null;

  constructor(desk) {
    this.desk = desk;
    document.addEventListener("visibilitychange", () => this.#schedule());
    window.addEventListener("beforeunload", (event) => this.#saving && event.preventDefault());
  }

  get running() {
    let n = 0;
    for (const { session } of this.#entries.values()) n += session.running > 0 ? 1 : 0;
    return n;
  }

  /** Whether a row changes from second to second. */
  get moving() {
    return this.running > 0 || this.#saving;
  }

  /** Percent of the one that runs, cut, for the title; null where none or several run. */
  get percent() {
    const running = Array.from(this.#entries.values()).filter(({ session }) => session.running > 0 && session.length > 0);
    return running.length === 1 ? Math.floor(percent(running[0].session.delivered, running[0].session.length)) : null;
  }

  /** Newest first: [{session, row}]. */
  rows(now) {
    return Array.from(this.#entries.values(), (entry) => ({
      session: entry.session,
      row: row(entry, now),
      again: entry.request !== null,
      url: entry.url,
      saver: entry.saver,
    })).reverse();
  }

  get #saving() {
    return Array.from(this.#entries.values()).some(({ saver }) => saver !== null && !saver.ended);
  }

  /** Mint a link for a request, of an archive or of one file ({folder, file}), and hand it to the browser. */
  async start(request) {
    this.follow((await this.#mint(request)).url);
  }

  /** The same, but the page itself writes it to a file that somebody chose (a FileSystemFileHandle). */
  async save(request, handle) {
    const file = await handle.createWritable();
    const entry = await this.#mint(request);
    const format = request.file === undefined ? request.format : "file";
    entry.saver = new Saver(entry.url, format, file, () => this.desk.changed());
    entry.saver.run().then(() => this.#speakOfSaver(entry));
  }

  async #mint(request) {
    const { api } = this.desk;
    const one = request.file !== undefined;
    const { session, url } = await (one ? api.file(request.folder, request.file) : api.download(request));
    const entry = { session, watch: new Watch(), request, url, saver: null };
    this.#entries.set(session.id, entry);
    this.#remember();
    this.desk.showActivity(true);
    this.#schedule(250);
    return entry;
  }

  #speakOfSaver(entry) {
    const { text, tone } = row(entry, Date.now());
    const said = `${entry.session.filename}: ${this.desk.plain(...text)}`;
    tone === "bad" ? this.desk.alert(said) : this.desk.tell(said);
  }

  /** Hand an address to the browser's own list of downloads; its name comes with the answer, the page stays. */
  follow(url) {
    const anchor = document.createElement("a");
    anchor.href = url;
    anchor.download = "";
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
  }

  /** The same selection once more, counted anew. */
  async again(id) {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.request === null) return;
    try {
      await this.start(entry.request);
      this.dismiss(id);
    } catch (problem) {
      this.desk.trouble(problem);
    }
  }

  dismiss(id) {
    this.#entries.get(id)?.saver?.leave();
    this.#entries.delete(id);
    this.#remember();
    this.desk.changed();
    this.desk.api.dismiss(id).catch(() => {}); // what stays on the server's list comes back with a reload, no more
  }

  dismissEnded() {
    const now = Date.now();
    const ended = Array.from(this.#entries).filter(([, entry]) => row(entry, now).ended);
    for (const [id] of ended) this.dismiss(id);
  }

  /** Take a download back: what runs is cut at once. */
  async stop(id) {
    this.#entries.get(id)?.saver?.leave();
    await this.desk.attempt(() => this.desk.api.stop(id));
    this.#schedule(0);
  }

  /** Rows survive a reload: the server knows the downloads, the tab what was asked for. */
  async recall() {
    let requests = {};
    try {
      requests = JSON.parse(sessionStorage.getItem(STORE) ?? "{}");
    } catch {
      sessionStorage.removeItem(STORE);
    }
    const items = await this.desk.api.activity().catch(() => []);
    for (const session of items.reverse()) {
      if (!this.#entries.has(session.id)) {
        const request = requests[session.id] ?? null;
        this.#entries.set(session.id, { session, watch: new Watch(), request, url: null, saver: null });
      }
    }
    this.desk.changed();
    this.#schedule(0);
  }

  #remember() {
    const requests = Array.from(this.#entries, ([id, { request }]) => [id, request]).filter(([, each]) => each !== null);
    try {
      sessionStorage.setItem(STORE, JSON.stringify(Object.fromEntries(requests)));
    } catch {
      // rows that a reload makes poorer are no reason to fail a download
    }
  }

  #schedule(wait = null) {
    clearTimeout(this.#timer);
    if (this.#entries.size === 0) return;
    const now = Date.now();
    const open = Array.from(this.#entries.values()).some((entry) => !row(entry, now).ended);
    if (!open) return;
    const running = this.running > 0;
    const shown = running ? SHOWN / 2 : SHOWN;
    this.#timer = setTimeout(() => this.#look(), wait ?? (document.hidden ? HIDDEN : shown));
  }

  async #look() {
    const now = Date.now();
    const open = Array.from(this.#entries.entries()).filter(([, entry]) => !row(entry, now).ended);
    for (const [id, entry] of open) {
      try {
        const session = await this.desk.api.session(id, entry.session);
        const before = row(entry, now);
        entry.session = session;
        entry.watch.look(session, Date.now());
        this.#speak(entry, before);
      } catch (problem) {
        if (problem.status === 404) entry.session = { ...entry.session, word: "expired", running: 0 };
      }
    }
    this.desk.changed();
    this.#schedule();
  }

  // A voice hears the start, quarters, an interruption and the end, never each step.
  #speak(entry, before) {
    const { desk } = this;
    const { session, watch } = entry;
    const after = row(entry, Date.now());
    const passed = quarter(watch, session.delivered, session.length);
    const [key, values] = after.text;
    if (after.state !== before.state && ["interrupted", "stopped", "revoked", "expired"].includes(after.state)) {
      desk.alert(`${session.filename}: ${desk.plain(key, values)}`);
    } else if (after.state !== before.state && ["running", "resumed", "sent"].includes(after.state)) {
      desk.tell(`${session.filename}: ${desk.plain(key, values)}`);
    } else if (passed !== null && after.state !== "interrupted") {
      desk.tell(`${session.filename}: ${passed} %`);
    }
  }
}

function row({ session, watch, saver }, now) {
  const shown = told(session, watch, now);
  return saver === null ? shown : saved(shown, saver, now);
}
