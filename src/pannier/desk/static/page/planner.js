// From a selection to an exact number: asks for plans, cancels older ones, starts downloads.

import { filename } from "./api.js";
import { NONE, SETTLE, step } from "./bar.js";
import { curl } from "./names.js";
import { canSave } from "./saver.js";

export class Planner {
  bar = NONE;
  format = "zip";
  leftOut = []; // paths that somebody decided to leave out, with this selection
  command = null;
  #timer = null;
  #running = null; // AbortController of the plan that is being made

  constructor(desk) {
    this.desk = desk;
  }

  #step(event) {
    this.bar = step(this.bar, { at: Date.now(), ...event });
    this.desk.changed();
  }

  /** The request of the present selection. */
  request() {
    const { desk } = this;
    const { files, except } = desk.picking.selection.request((directory) =>
      directory === desk.directory && desk.listing.done ? desk.listing.names : null,
    );
    const request = { folder: desk.folder.id, files, except: [...except, ...this.leftOut], format: this.format };
    return { ...request, filename: filename(request, desk.folder.name, desk.directory) };
  }

  /** The selection is another one. */
  picked() {
    this.leftOut = [];
    this.#step({ type: "picked", picked: this.desk.picking.selection.count });
    this.#soon();
  }

  cleared(picked) {
    this.leftOut = [];
    this.#cancel();
    this.#step({ type: "cleared", picked });
  }

  /** The folder changed; what was counted may be wrong. */
  changed() {
    if (this.bar.picked === 0) return;
    this.#step({ type: "changed" });
    this.#soon();
  }

  recount() {
    this.#step({ type: "recount" });
    this.#soon(0);
  }

  stop() {
    this.#cancel();
    this.#step({ type: "stopped" });
  }

  choose(format) {
    if (format === this.format) return;
    this.format = format;
    this.recount();
  }

  offline(on) {
    if (on === (this.bar.offline !== null)) return;
    this.#step({ type: on ? "offline" : "online" });
    if (!on && ["counting", "failed"].includes(this.bar.phase)) this.recount();
  }

  #cancel() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
  }

  #soon(wait = SETTLE) {
    this.#cancel();
    this.command = null;
    if (this.bar.picked > 0) this.#timer = setTimeout(() => this.#count(), wait);
  }

  async #count() {
    const running = new AbortController();
    this.#running = running;
    const { api } = this.desk;
    try {
      const progress = (event) => running.signal.aborted || this.#step({ type: "progress", ...event });
      const plan = await api.plan(this.request(), progress, running.signal);
      if (!running.signal.aborted) this.#step({ type: "planned", plan });
    } catch (problem) {
      if (running.signal.aborted) return;
      if (problem.status === undefined && this.bar.offline !== null) return; // counted again once the server is back
      this.#step({ type: "problem", problem });
      if (this.bar.phase === "busy") this.#timer = setTimeout(() => this.recount(), this.bar.retryAt - Date.now());
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  /** Start what was counted; false where there is nothing exact. */
  download() {
    if (!["exact", "started"].includes(this.bar.phase) || this.bar.offline !== null) return false;
    this.#begin();
    return true;
  }

  /** What the one button of the bar does. */
  primary(action) {
    if (action === "download") this.download();
    else if (action === "review") this.desk.show("details");
    else if (action === "recount") this.recount();
    else if (action === "undo") this.desk.picking.undo();
  }

  /** Whether the page may write what was counted to a file itself, and so watch over it. */
  get watchable() {
    return canSave() && ["exact", "started"].includes(this.bar.phase) && this.bar.offline === null && this.bar.exact.length !== null;
  }

  /** Ask for a file, and write what was counted to it. */
  async save() {
    if (!this.watchable) return;
    const request = this.request();
    const suggestedName = this.bar.exact.filename;
    const handle = await window.showSaveFilePicker({ suggestedName }).catch(() => null); // closed: nothing was asked for
    if (handle !== null) await this.#begin((what) => this.desk.downloads.save(what, handle), request);
  }

  async #begin(start = (what) => this.desk.downloads.start(what), request = this.request()) {
    try {
      const [file] = request.files;
      await start(this.bar.exact.single ? { folder: request.folder, file } : request);
      this.#step({ type: "started" });
    } catch (problem) {
      if (problem.type === "selection-refused" || problem.status === 404) this.changed();
      else this.#step({ type: "problem", problem });
    }
  }

  /** Leave out what cannot be included, knowingly, and download the rest once it is counted. */
  async leaveOut() {
    const offenders = await this.desk.api.offenders(this.request());
    this.leftOut = [...this.leftOut, ...offenders.map(({ path }) => path)];
    this.#step({ type: "recount" });
    this.#cancel();
    await this.#count();
    if (this.bar.phase === "exact") await this.#begin();
  }

  /** A line for a terminal: a link of a day, as the terminal has no sign-in. */
  async makeCommand() {
    await this.desk.attempt(async () => {
      const link = await this.desk.offers.share(this.request(), { expires_in: 86_400 });
      this.command = curl(link);
    });
    this.desk.changed();
  }
}
