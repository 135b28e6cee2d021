// The routes of the front desk, as functions: what the rest of the page knows of the server.

import { basename } from "./names.js";
import { lines, percentEncoded } from "./server.js";

const KIND = { d: "directory", f: "file", l: "link", x: "other" };
const LISTS = ["members", "offenders", "omitted", "renamed", "warnings"];

export class Api {
  /** `base` is the path prefix, "" mostly. */
  constructor(server, base) {
    this.server = server;
    this.base = base;
  }

  #at(route) {
    return `${this.base}/desk/${route}`;
  }

  me() {
    return this.server.get(this.#at("me"), {}, { quiet: true }); // answers whoever asks
  }

  async folders() {
    return (await this.server.get(this.#at("folders"))).items;
  }

  /** One page of a directory: {items, total, cursor, version}. */
  async list(folder, path, cursor, limit) {
    return listed(await this.server.get(this.#at("list"), { folder, path, cursor, limit }));
  }

  /** What is new in a directory since a version: {changed, version, total, items}. */
  async changes(folder, path, version) {
    return this.server.get(this.#at("changes"), { folder, path, version });
  }

  // -------------------------------------------------------------- plans and downloads

  /** Count a selection; `progress` gets {entries, bytes} while it goes on. */
  async plan(request, progress, signal) {
    const headers = { Accept: "application/x-ndjson" };
    const response = await this.server.raw("POST", this.#at("plan"), selection(request), { signal, headers });
    let last = null;
    for await (const document of lines(response)) {
      last = document;
      if (document.offenders === undefined) progress(document);
    }
    if (last?.offenders === undefined) throw await this.server.told(last);
    return planned(last, request);
  }

  /** All offenders of a selection: [{path, code, detail}]. */
  async offenders(request) {
    return this.#everyItem("offenders", request);
  }

  async #everyItem(list, request) {
    let page = (await this.server.post(this.#at("plan"), selection(request)))[list];
    const items = [...page.items];
    while (page.cursor !== null) {
      ({ page } = await this.server.post(this.#at("plan"), { ...selection(request), cursor: page.cursor }));
      items.push(...page.items);
    }
    return items;
  }

  /** A link for this browser to an archive: {url, session}. */
  async download(request) {
    const answer = await this.server.post(this.#at("download"), { ...selection(request), filename: request.filename });
    return { url: answer.url, session: await this.session(answer.session) };
  }

  /** A link to one file itself: {url, session}. */
  async file(folder, path) {
    const { url, session } = await this.server.post(this.#at("file"), { folder, path });
    return { url, session: await this.session(session) };
  }

  async activity() {
    return (await this.server.get(this.#at("activity"))).items.map(downloaded);
  }

  async session(id) {
    return downloaded(await this.server.get(this.#at(`activity/${percentEncoded(id)}`)));
  }

  stop(id) {
    return this.server.post(this.#at(`activity/${percentEncoded(id)}/stop`));
  }

  dismiss(id) {
    return this.server.delete(this.#at(`activity/${percentEncoded(id)}`));
  }

  // -------------------------------------------------------------- changes

  mkdir(folder, path) {
    return this.server.post(this.#at("mkdir"), { folder, path });
  }

  rename(folder, path, name) {
    return this.server.post(this.#at("rename"), { folder, path, name });
  }

  move(folder, paths, into) {
    return this.server.post(this.#at("move"), { folder, paths, into });
  }

  remove(folder, paths) {
    return this.server.post(this.#at("delete"), { folder, paths });
  }

  async trash(folder) {
    return (await this.server.get(this.#at("trash"), { folder })).items;
  }

  restore(folder, id) {
    return this.server.post(this.#at(`trash/${percentEncoded(id)}/restore`), { folder });
  }

  forget(folder, id) {
    return this.server.post(this.#at(`trash/${percentEncoded(id)}/forget`), { folder });
  }

  /** Where tus begins uploads below a directory: {url, largest}. */
  uploads(folder, path, conflict) {
    return this.server.post(this.#at("uploads"), { folder, path, conflict });
  }

  // -------------------------------------------------------------- links and requests

  share(request, terms) {
    return this.server.post(this.#at("links"), { ...selection(request), filename: request.filename, ...terms });
  }

  async links() {
    return (await this.server.get(this.#at("links"))).items;
  }

  revoke(code) {
    return this.server.delete(this.#at(`links/${code}`));
  }

  forgetLink(code) {
    return this.server.post(this.#at(`links/${code}/remove`));
  }

  request(terms) {
    return this.server.post(this.#at("requests"), terms);
  }

  async requests() {
    return (await this.server.get(this.#at("requests"))).items;
  }

  close(code) {
    return this.server.delete(this.#at(`requests/${code}`));
  }

  forgetRequest(code) {
    return this.server.post(this.#at(`requests/${code}/remove`));
  }

  // -------------------------------------------------------------- addresses

  place(folder, path) {
    return `${this.base}/f/${percentEncoded(folder)}/${percentEncoded(path, "/")}`;
  }

  preview(folder, path) {
    return `${this.base}/preview/${percentEncoded(folder)}/${percentEncoded(path, "/")}`;
  }
}

/** The columns of a list as items. */
export function listed(list) {
  const { names, kinds, sizes, times, links = {} } = list;
  const items = names.map((name, i) => ({
    name,
    kind: KIND[kinds[i]],
    size: sizes[i],
    modified: times[i],
    target: links[i]?.target ?? null,
    leads: links[i] === undefined ? null : (KIND[links[i].kind] ?? null),
  }));
  return { items, total: list.total, cursor: list.cursor, version: list.version };
}

function selection({ folder, files, except, format }) {
  const [container, compression = "none"] = format.split("+");
  return { folder, paths: files, except, format: container, compression };
}

/** A plan as the page uses it: numbers, and the first items of each list. */
export function planned(reply, { files, except, filename }) {
  const refused = reply.offenders.total;
  const single = refused === 0 && files.length === 1 && reply.entries === 1 && reply.files === 1 &&
    reply.members.items[0]?.path === files[0] && except.length === 0;
  return {
    entries: reply.entries,
    files: reply.files,
    directories: reply.directories,
    links: reply.links,
    bytes: reply.bytes,
    length: reply.length,
    known: reply.checksums.known_bytes,
    refused,
    asked: reply.entries + refused,
    renamed: single ? 0 : reply.renamed.total,
    omitted: reply.omitted.total,
    warnings: single ? 0 : reply.warnings.total,
    lists: Object.fromEntries(LISTS.map((list) => [list, reply[list].items])),
    without: refused > 0 && reply.entries > 0 ? { entries: reply.entries, bytes: reply.bytes } : null,
    single,
    filename: single ? basename(files[0]) : filename,
  };
}

function downloaded(item) {
  return { ...item, delivered: item.delivered.bytes };
}

/** What an archive is called: the one thing that was picked, else what holds it. */
export function filename(request, folder, directory) {
  const ending = { zip: ".zip", tar: ".tar", "zip+deflate": ".zip" }[request.format];
  const [only] = request.files;
  const base = request.files.length === 1 && only !== "." ? basename(only) : basename(directory) || folder;
  // eslint-disable-next-line no-control-regex
  return base.replace(/[\u0000-\u001f\u007f\ud800-\udfff/\\]/gu, "_") + ending;
}

