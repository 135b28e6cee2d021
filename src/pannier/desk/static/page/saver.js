// A download that the page writes to a file itself, where the browser lets it: goes on by itself after a break, and
// checks what it wrote. Nothing is held in memory but what is on its way.

import { Damaged, ZipCheck } from "./zipcheck.js";
import { problem } from "./server.js";
import { wait } from "./uploads.js";

const PASSES = [408, 425, 429, 500, 502, 503, 504];

/** Whether this browser lets a page write files (secure context, file picker). */
export const canSave = () => typeof window.showSaveFilePicker === "function";

export class Saver {
  state = "saving"; // saving, waiting, checked, saved, changed, damaged, unwritable, refused, left
  at = 0; // bytes that are written
  length = null;
  entries = 0; // that were checked
  retryAt = 0;
  name = null; // of the entry that arrived damaged
  problem = null;
  #etag = null;
  #check;
  #leave = new AbortController();
  #wake = () => {};

  /** `file` is a FileSystemWritableFileStream; `changed()` is called when there is something new to show. */
  constructor(url, format, file, changed) {
    Object.assign(this, { url, file, changed });
    this.#check = format === "zip" ? new ZipCheck() : null;
  }

  get ended() {
    return !["saving", "waiting"].includes(this.state);
  }

  /** Write all of it; resolves at its end, whatever that is. */
  async run() {
    for (let tries = 0; this.length === null || this.at < this.length; ) {
      const before = this.at;
      try {
        await this.#some();
      } catch (error) {
        if (this.#leave.signal.aborted) return this.#end("left");
        if (typeof error === "string") return this.#end(error);
        if (error instanceof Damaged) return this.#end("damaged", { name: error.name_ });
        if (error.status !== undefined && !PASSES.includes(error.status)) return this.#end("refused", { problem: error });
        if (this.at > before) tries = 0;
        await this.#rest(error.retryAfter ? 1000 * error.retryAfter : wait(tries));
        tries += 1;
      }
    }
    try {
      this.#check?.end();
    } catch (error) {
      return this.#end("damaged", { name: error.name_ });
    }
    // only now does the file get its name: what is unfinished never looks whole
    const kept = await this.file.close().then(() => true, () => false);
    return this.#end(!kept ? "unwritable" : this.#check ? "checked" : "saved", { entries: this.#check?.entries ?? 0 });
  }

  /** Try again at once. */
  now() {
    this.#wake();
  }

  /** Give up: nothing is kept of the file. */
  leave() {
    this.#leave.abort();
    this.#wake();
  }

  #end(state, more = {}) {
    Object.assign(this, { state, ...more });
    if (!["checked", "saved", "unwritable"].includes(state)) this.file.abort().catch(() => {});
    this.changed();
  }

  async #rest(milliseconds) {
    this.state = "waiting";
    this.retryAt = Date.now() + milliseconds;
    this.changed();
    let timer = null;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, milliseconds);
    });
    clearTimeout(timer);
    this.state = "saving";
    this.changed();
  }

  /** Ask for what is missing, and write what comes; throws what ended it, a string where that is for good. */
  async #some() {
    const { signal } = this.#leave;
    const headers = this.at === 0 ? {} : { Range: `bytes=${this.at}-`, "If-Range": this.#etag };
    const response = await fetch(this.url, { headers, signal, cache: "no-store" });
    if (!response.ok) throw await problem(response);
    const etag = response.headers.get("ETag");
    if (this.at === 0) {
      this.#etag = etag;
      this.length = Number(response.headers.get("Content-Length"));
    } else if (response.status !== 206 || etag !== this.#etag) {
      await response.body?.cancel();
      throw "changed"; // of two archives nothing is put together
    }
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.#check?.push(value);
        await this.file.write(value).catch(() => Promise.reject("unwritable"));
        this.at += value.length;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
    if (this.at < this.length) throw new TypeError("the answer ended early");
  }
}
