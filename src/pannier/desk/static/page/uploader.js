// Sends files by tus, a few at a time; a broken connection is gone on with from what the server has.

import { join, parent } from "./names.js";
import { Pace } from "./numbers.js";
import { tail } from "./server.js";
import { ENDED, after, answer, fingerprint, next, summary, upload } from "./uploads.js";

const CHUNK = 32 * 1024 * 1024; // after each the server has said that it is durable
const STORE = "pannier.uploads";
const FRESH = 60_000; // a token with less than this to live is not used any more

export class Uploads {
  items = [];
  paused = false;
  folded = false;
  waiting = []; // of an earlier page: {key, path, safe}, to be gone on with once their files are added again
  #known = new Map(); // by fingerprint: {url, path, safe}
  #sending = new Map(); // by id: the Upload of tus
  #tokens = new Map(); // by place and conflict: {url, until}
  #pace = new Pace();
  #count = 0;
  #touched = false;

  constructor(desk) {
    this.desk = desk;
    setInterval(() => this.#tick(), 1000);
    window.addEventListener("beforeunload", (event) => this.summary.open && event.preventDefault());
  }

  get summary() {
    return summary(this.items);
  }

  /** Bytes a second, and seconds to go or null. */
  get pace() {
    const { bytes, sent } = this.summary;
    const rate = this.items.some(({ state }) => state === "sending") ? this.#pace.rate : 0;
    return { rate, left: rate > 0 ? this.#pace.left(bytes - sent, this.#seconds) : null };
  }

  #seconds = 0;

  /** Take files: [{file, path}], paths relative to the directory `into`; and empty `directories`. */
  async add(files, into, directories = []) {
    const { desk } = this;
    const folder = desk.folder.id;
    if (this.items.every(({ state }) => ENDED.has(state))) {
      this.items = this.items.filter(({ state }) => state !== "sent");
      this.#seconds = 0;
      this.#pace = new Pace();
    }
    for (const { file, path } of files) {
      this.#count += 1;
      const item = upload(this.#count, { folder, into, path, file });
      const known = this.#known.get(fingerprint(folder, join(into, path), file));
      if (known !== undefined) {
        Object.assign(item, { url: known.url, sent: known.safe, safe: known.safe });
        this.waiting = this.waiting.filter(({ key }) => key !== known.key);
      }
      this.items.push(item);
    }
    this.folded = false;
    desk.changed();
    if (directories.length > 0) await desk.attempt(() => this.#make(folder, into, directories));
    this.#go();
  }

  /** Make directories, and those above them, where they are not there yet. */
  async #make(folder, into, directories) {
    this.#touched = true;
    const all = directories.flatMap((path) => path.split("/").map((_, i, parts) => parts.slice(0, i + 1).join("/")));
    for (const path of new Set(all)) {
      await this.desk.api.mkdir(folder, join(into, path)).catch((problem) => {
        if (problem.type !== "name-exists") throw problem;
      });
    }
  }

  // -------------------------------------------------------------- what somebody presses

  answer(id, choice, all = false) {
    answer(this.items, id, choice, all);
    this.#go();
  }

  pause(item) {
    this.#halt(item);
    item.state = "paused";
    this.desk.changed();
  }

  resume(item) {
    Object.assign(item, { state: "queued", tries: 0 });
    this.#go();
  }

  pauseAll(on) {
    this.paused = on;
    for (const item of this.items) {
      if (on && item.state === "sending") {
        this.#halt(item);
        item.state = "queued";
      }
    }
    this.#go();
  }

  /** Stop one for good; what the server has of it is deleted there. */
  async stop(item) {
    const sending = this.#halt(item);
    const { url } = item;
    Object.assign(item, { state: "stopped", url: null });
    this.#forget(item);
    this.desk.changed();
    if (url !== null) await (await tus()).Upload.terminate(url, { retryDelays: [] }).catch(() => {});
    return sending;
  }

  dismiss(item) {
    this.items = this.items.filter((each) => each !== item);
    this.desk.changed();
  }

  close() {
    this.items = this.items.filter(({ state }) => !ENDED.has(state));
    this.waiting = [];
    this.desk.changed();
  }

  // -------------------------------------------------------------- sending

  #halt(item) {
    const sending = this.#sending.get(item.id);
    this.#sending.delete(item.id);
    sending?.abort();
    return sending;
  }

  #go() {
    for (const item of next(this.items, this.paused)) {
      item.state = "sending";
      this.#send(item).catch((error) => this.#failed(item, error));
    }
    this.desk.changed();
  }

  async #send(item) {
    const { Upload } = await tus();
    const endpoint = item.url === null ? await this.#endpoint(item) : null;
    if (item.state !== "sending") return;
    const sending = new Upload(item.file, {
      endpoint,
      uploadUrl: item.url,
      metadata: { filename: item.path },
      chunkSize: CHUNK,
      retryDelays: [],
      storeFingerprintForResuming: false,
      uploadDataDuringCreation: item.size <= CHUNK,
      onUploadUrlAvailable: () => {
        item.url = sending.url;
        this.#remember(item);
      },
      onProgress: (sent) => {
        item.sent = sent;
      },
      onChunkComplete: (chunk, accepted) => {
        Object.assign(item, { safe: accepted, sent: accepted, tries: 0 });
        this.#remember(item);
      },
      onSuccess: () => this.#sent(item),
      onError: (error) => this.#failed(item, error),
    });
    this.#sending.set(item.id, sending);
    sending.start();
  }

  /** Where uploads of a place begin; a token is asked for once for all of its files. */
  async #endpoint({ folder, into, conflict }) {
    const key = JSON.stringify([folder, into, conflict]);
    let token = this.#tokens.get(key);
    if (token === undefined || token.until < Date.now() + FRESH) {
      const { url, expires_at } = await this.desk.api.uploads(folder, into, conflict);
      token = { url: new URL(url, location.href).href, until: Date.parse(expires_at) };
      this.#tokens.set(key, token);
    }
    return token.url;
  }

  #sent(item) {
    this.#sending.delete(item.id);
    Object.assign(item, { state: "sent", sent: item.size, safe: item.size });
    this.#forget(item);
    if (item.folder === this.desk.folder.id) this.#touched = true;
    const { open, sentFiles } = this.summary;
    if (!open) this.desk.tell(this.desk.plain("upload.all-sent", { n: sentFiles }));
    this.#go();
  }

  async #failed(item, error) {
    this.#sending.delete(item.id);
    if (item.state !== "sending") return;
    const problem = told(error);
    const { state, ...changes } = after(item, problem, Date.now());
    if (state === "anew") {
      this.#forget(item);
      Object.assign(item, { state: "queued", url: null, sent: 0, safe: 0 });
      return this.#go();
    }
    if (problem.status === 401) this.#tokens.clear();
    Object.assign(item, changes, { state, problem, sent: item.safe });
    if (state === "asks") {
      item.there = this.#existing(item);
      this.desk.alert(this.desk.plain("upload.asks", { name: { name: item.path } }));
    } else if (state === "refused") this.#forget(item);
    return this.#go();
  }

  /** What has the name, if it is in the listing that is shown. */
  #existing(item) {
    const { desk } = this;
    const path = join(item.into, item.path);
    if (item.folder !== desk.folder.id || parent(path) !== desk.directory) return null;
    const row = desk.listing.row(path.slice(desk.directory === "" ? 0 : desk.directory.length + 1));
    return row < 0 ? null : { size: desk.listing.sizes[row], time: desk.listing.times[row] };
  }

  #tick() {
    if (this.items.length === 0) return;
    const now = Date.now();
    for (const item of this.items) {
      if (item.state === "waiting" && now >= item.retryAt && this.desk.connection.state !== "signed-out") item.state = "queued";
    }
    if (this.items.some(({ state }) => state === "sending")) {
      this.#seconds += 1;
      this.#pace.mark(now / 1000, this.summary.sent);
    }
    if (this.#touched) {
      this.#touched = false;
      this.desk.refresh();
      this.desk.planner.changed();
    }
    if (this.summary.open) this.#go();
  }

  // -------------------------------------------------------------- after a reload

  recall() {
    try {
      for (const [key, known] of Object.entries(JSON.parse(localStorage.getItem(STORE) ?? "{}"))) {
        this.#known.set(key, { ...known, key });
        this.waiting.push({ key, path: known.path, safe: known.safe });
      }
    } catch {
      localStorage.removeItem(STORE);
    }
  }

  #key(item) {
    return fingerprint(item.folder, join(item.into, item.path), item.file);
  }

  #remember(item) {
    const path = join(item.into, item.path);
    this.#known.set(this.#key(item), { key: this.#key(item), url: item.url, path, safe: item.safe });
    this.#store();
  }

  #forget(item) {
    this.#known.delete(this.#key(item));
    this.#store();
  }

  #store() {
    try {
      localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(this.#known)));
    } catch {
      // uploads that a reload forgets begin anew
    }
  }
}

let loaded = null;

/** tus-js-client, loaded with the first upload; it is a script that leaves itself in the window. */
function tus() {
  loaded ??= import("../vendor/tus.js").then(() => window.tus);
  return loaded;
}

/** What the server answered to tus, as a problem; without an answer, one without a status. */
function told(error) {
  if (error.status !== undefined || error.type !== undefined) return error;
  const response = error.originalResponse;
  if (response === null || response === undefined) return { message: error.message };
  let document = {};
  try {
    document = JSON.parse(response.getBody());
  } catch {
    // a proxy in between may answer what it likes
  }
  return {
    status: response.getStatus(),
    type: tail(document.type ?? ""),
    detail: document.detail ?? null,
    request: document.request ?? null,
    message: document.title ?? error.message,
    document,
  };
}
