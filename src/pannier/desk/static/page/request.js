// A file request, made better where scripts run: files and folders by drag and drop, each resumable, with progress.
// The plain form stays as it is where this does not.

import { chosen, dropped } from "./dropping.js";
import { Numbers, Pace } from "./numbers.js";
import { visible } from "./names.js";
import { sentence, tooLarge } from "./problems.js";
import { tail } from "./server.js";
import { wait } from "./uploads.js";
import "./visitor.js"; // which minds the moments of this page, too
import { Words } from "./words.js";

const CHUNK = 16 * 1024 * 1024;
const meta = document.querySelector('meta[name="pannier"]');
const card = document.querySelector("[data-code]");
const form = card?.querySelector("form");

async function begin() {
  const language = document.documentElement.lang === "ko" ? "ko" : "en";
  const table = await (await fetch(new URL(`./${language}.json`, import.meta.url))).json();
  const words = new Words(table, new Numbers(language));
  const base = `${meta.dataset.base ?? ""}/r/${card.dataset.code}`;
  const list = document.createElement("ul");
  list.className = "sending";
  list.setAttribute("aria-live", "polite");
  const zone = dropZone(words, (files) => queue.add(files));
  const queue = new Queue(base, words, list);
  form.replaceWith(zone, list);
  const note = document.createElement("p");
  note.className = "muted";
  note.textContent = words.say("drop.until-closed");
  list.after(note);
  window.addEventListener("beforeunload", (event) => queue.busy && event.preventDefault());
}

function dropZone(words, take) {
  const zone = document.createElement("div");
  zone.className = "drop-zone";
  const text = document.createElement("p");
  text.textContent = words.say("drop.here");
  const row = document.createElement("p");
  row.className = "actions";
  for (const [key, folder] of [["drop.choose-files", false], ["drop.choose-folder", true]]) {
    const field = document.createElement("input");
    field.type = "file";
    field.hidden = true;
    if (folder) field.webkitdirectory = true;
    else field.multiple = true;
    field.addEventListener("change", () => {
      take(chosen(field.files).files);
      field.value = "";
    });
    const button = document.createElement("button");
    button.type = "button";
    button.className = folder ? "" : "primary";
    button.textContent = words.say(key);
    button.addEventListener("click", () => field.click());
    row.append(button, field);
  }
  zone.append(text, row);
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", async (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    take((await dropped(event.dataTransfer)).files);
  });
  return zone;
}

/** Sends one file after the other; a broken connection is gone on with. */
class Queue {
  #waiting = [];
  busy = false;

  constructor(base, words, list) {
    Object.assign(this, { base, words, list });
  }

  add(files) {
    for (const { file, path } of files) this.#waiting.push({ file, path, line: this.#line(path) });
    if (!this.busy) this.#run();
  }

  #line(path) {
    const line = document.createElement("li");
    const name = document.createElement("bdi");
    name.translate = false;
    name.textContent = visible(path);
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", visible(path));
    const said = document.createElement("span");
    said.textContent = this.words.say("upload.queued");
    line.append(name, bar, said);
    this.list.append(line);
    return { line, bar, said };
  }

  async #run() {
    this.busy = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#send(next).catch((problem) => this.#refused(next, problem));
    }
    this.busy = false;
  }

  #refused({ file, line }, problem) {
    const told = tooLarge(problem, file.size) ?? sentence(problem, (key) => this.words.has(key));
    const text = (value) => {
      if (value === null || typeof value !== "object") return value;
      return value.size === undefined ? (value.name ?? "") : this.words.numbers.size(value.size);
    };
    line.bar.remove();
    line.line.className = "bad";
    line.said.textContent = this.words.say(told.key, Object.fromEntries(Object.entries(told.values).map(([k, v]) => [k, text(v)])));
  }

  async #send(item) {
    const { file, path, line } = item;
    const { numbers } = this.words;
    const url = await this.#begin(path, file.size);
    await import("../vendor/tus.js");
    const pace = new Pace();
    for (let tries = 0, safe = 0; ; tries += 1) {
      try {
        await new Promise((resolve, reject) => {
          new window.tus.Upload(file, {
            uploadUrl: url,
            chunkSize: CHUNK,
            retryDelays: [],
            storeFingerprintForResuming: false,
            onProgress: (sent) => {
              pace.mark(Date.now() / 1000, sent);
              line.bar.value = file.size === 0 ? 1 : sent / file.size;
              line.said.textContent = [this.words.say("upload.bytes", { a: numbers.size(sent), b: numbers.size(file.size) }),
                pace.rate > 0 ? numbers.rate(pace.rate) : ""].filter(Boolean).join(" · ");
            },
            onChunkComplete: (chunk, accepted) => {
              safe = accepted;
              tries = 0;
            },
            onSuccess: resolve,
            onError: reject,
          }).start();
        });
        break;
      } catch (error) {
        const status = error.originalResponse?.getStatus() ?? 0;
        if (status !== 0 && status < 500 && ![408, 409, 423, 429].includes(status)) throw problemOf(error);
        const seconds = Math.ceil(wait(tries) / 1000);
        line.said.textContent = this.words.say("upload.lost", { a: numbers.size(safe), s: seconds });
        await new Promise((resolve) => setTimeout(resolve, wait(tries)));
      }
    }
    line.bar.remove();
    line.line.className = "ok";
    line.said.textContent = this.words.say("drop.received", { size: numbers.size(file.size), time: numbers.time(Date.now()) });
  }

  async #begin(name, size) {
    const response = await fetch(`${this.base}/uploads`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-Pannier-CSRF": meta.dataset.csrf ?? "" },
      body: JSON.stringify({ name, size }),
    });
    const document_ = await response.json();
    if (!response.ok) throw { status: response.status, type: tail(document_.type ?? ""), document: document_, message: document_.title };
    return new URL(document_.url, location.href).href;
  }
}

function problemOf(error) {
  let document_ = {};
  try {
    document_ = JSON.parse(error.originalResponse.getBody());
  } catch {
    // a proxy in between may answer what it likes
  }
  return { status: error.originalResponse.getStatus(), type: tail(document_.type ?? ""), document: document_ };
}

if (form) begin();
