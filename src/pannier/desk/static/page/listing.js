// One directory as it arrives: parallel columns of its rows, and the order in which they are shown.

export const KINDS = ["file", "directory", "link", "other"];

export class Listing {
  names = [];
  kinds = []; // places in KINDS
  sizes = [];
  times = []; // milliseconds
  links = new Map(); // by row: {target, leads}, both null where a link leads out or nowhere
  total = 0; // of rows, as far as the server has told
  done = false;
  error = null;
  query = "";
  order = new Uint32Array(0);
  version = null; // what the server calls this state of the directory
  #rows = new Map(); // row by name, made when it is first asked for
  #worker;
  #ticket = 0;
  #waiting = [];
  #changed;

  /** `changed()` is called when something new can be shown. */
  constructor(directory, { sort, language, worker, changed }) {
    this.directory = directory;
    this.sort = sort; // {key, descending}
    this.language = language;
    this.began = Date.now();
    this.#changed = changed;
    this.#worker = worker;
    worker.onmessage = ({ data }) => this.#arranged(data);
    worker.postMessage({ type: "begin" });
  }

  get length() {
    return this.names.length;
  }

  /** Take a page of the server's items. */
  push(items, total) {
    const page = { type: "rows", names: [], directories: [], sizes: [], times: [] };
    for (const item of items) {
      const row = this.names.length;
      const kind = Math.max(0, KINDS.indexOf(item.kind));
      const at = item.modified;
      this.names.push(item.name);
      this.kinds.push(kind);
      this.sizes.push(item.size ?? -1);
      this.times.push(at);
      if (item.kind === "link") this.links.set(row, item);
      page.names.push(item.name);
      page.directories.push(item.kind === "directory" || item.leads === "directory" ? 1 : 0);
      page.sizes.push(item.size ?? -1);
      page.times.push(at);
    }
    this.#rows.clear();
    this.total = Math.max(total ?? 0, this.names.length);
    this.#worker.postMessage(page);
  }

  /** Show the rows that match, in the order of `sort`; resolves when they can be drawn. */
  arrange(query = this.query, sort = this.sort) {
    this.query = query;
    this.sort = sort;
    this.#ticket += 1;
    const { key, descending } = sort;
    this.#worker.postMessage({ type: "arrange", ticket: this.#ticket, query, key, descending, language: this.language });
    return new Promise((resolve) => this.#waiting.push([this.#ticket, resolve]));
  }

  #arranged({ ticket, order }) {
    if (ticket === this.#ticket) {
      this.order = order;
      this.#changed();
    }
    this.#waiting = this.#waiting.filter(([awaited, resolve]) => {
      if (awaited > ticket) return true;
      resolve();
      return false;
    });
  }

  /** The row of a name; -1 where there is none. */
  row(name) {
    if (this.#rows.size === 0) this.names.forEach((each, row) => this.#rows.set(each, row));
    return this.#rows.get(name) ?? -1;
  }

  /** Where a row is shown now; -1 where it is not. */
  position(row) {
    return this.order.indexOf(row);
  }

  /** Everything about one row. */
  at(row) {
    return {
      row,
      name: this.names[row],
      kind: KINDS[this.kinds[row]],
      size: this.sizes[row],
      time: this.times[row],
      target: this.links.get(row)?.target ?? null,
      leads: this.links.get(row)?.leads ?? null,
    };
  }
}
