// The desk: one folder's place, its listing, and what the views ask of the rest. No elements are made here.

import { Api } from "./api.js";
import { Changes } from "./changes.js";
import { Connection } from "./connection.js";
import { Downloads } from "./downloads.js";
import { Listing } from "./listing.js";
import { basename, join, parent } from "./names.js";
import { Numbers } from "./numbers.js";
import { Offers } from "./offers.js";
import { Picking } from "./picking.js";
import { Planner } from "./planner.js";
import { Server, percentDecoded } from "./server.js";
import { Uploads } from "./uploader.js";
import { Words } from "./words.js";
import { arranger } from "./workers.js";
import { plain } from "./plain.js";

const PAGE = 2_000; // rows of a page of the listing
const LOOK = 4_000; // milliseconds between looks for changes of others
const LOOK_SHARE = 20; // and between them at least so many times what one took

export class Desk {
  folder = null; // {id, name, writable}
  directory = "";
  listing = null;
  folders = [];
  panel = null; // details, preview, links, trash, help, or null
  previewed = null; // the entry in the preview panel
  dialog = null; // {kind, …} of the open dialog
  notice = null; // {key, values, act, undo}: what was done, and how to undo it
  activityOpen = false;
  stale = 0; // entries that others changed since the listing was loaded
  status = ""; // what voices hear, politely
  alarm = ""; // and at once
  #listeners = new Set();
  #drawing = false;
  #worker = arranger();
  #loading = null;
  #sort = { key: "name", descending: false };
  #look; // the cursor of the look at the directory that the plain page was made of, until it is used
  #focusAfter = null; // name of the row that gets the focus once it is there

  /** `start` is what the page holds for scripts; `tables` the words by language. */
  constructor(start, tables) {
    this.tables = tables;
    this.public = start.public;
    this.signedIn = start.signedIn;
    this.#look = start.look;
    this.theme = document.documentElement.dataset.theme ?? "auto";
    this.connection = new Connection(this);
    this.server = new Server(start.csrf, (news) => this.connection.heard(news));
    this.api = new Api(this.server, start.base);
    this.picking = new Picking(this);
    this.planner = new Planner(this);
    this.downloads = new Downloads(this);
    this.changes = new Changes(this);
    this.offers = new Offers(this);
    this.uploads = new Uploads(this);
    this.speak(document.documentElement.lang);
  }

  // -------------------------------------------------------------- telling the views

  /** Call `listener` once in the next frame after something changed. */
  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed() {
    if (this.#drawing) return;
    this.#drawing = true;
    const draw = () => {
      if (!this.#drawing) return;
      this.#drawing = false;
      for (const listener of this.#listeners) listener();
    };
    // a hidden tab has no frames
    document.hidden ? setTimeout(draw, 50) : requestAnimationFrame(draw);
  }

  tell(text) {
    this.status = text;
    this.changed();
  }

  alert(text) {
    this.alarm = text;
    this.changed();
  }

  plain(key, values) {
    return plain(this.words, key, values);
  }

  // -------------------------------------------------------------- what holds

  get selection() {
    return this.picking.selection;
  }

  get bar() {
    return this.planner.bar;
  }

  get writable() {
    return this.signedIn && this.folder.writable;
  }

  /** Whether links and requests can be made. */
  get shares() {
    return this.signedIn;
  }

  get title() {
    return this.directory === "" ? this.folder.name : basename(this.directory);
  }

  get here() {
    return join(this.folder.name, this.directory);
  }

  // -------------------------------------------------------------- places

  async start() {
    this.folders = (await this.api.folders()).map((folder) => ({ ...folder, id: folder.name }));
    this.picking.recall();
    window.addEventListener("popstate", () => this.#read());
    this.#keepLooking();
    this.downloads.recall();
    this.uploads.recall();
    this.#read();
    if (!this.selection.empty) this.planner.picked();
  }

  /** The place that the address names. */
  #read() {
    const at = location.pathname.slice(this.api.base.length).match(/^\/f\/([^/]+)\/?(.*?)\/?$/u);
    const folder = this.folders.find(({ id }) => at !== null && id === percentDecoded(at[1])) ?? this.folders[0];
    this.#enter(folder, at === null ? "" : percentDecoded(at[2]));
  }

  /** Go to a directory; the focus goes to its first row, or to `focus`. */
  go(id, directory, focus = null) {
    const folder = this.folders.find((each) => each.id === id) ?? this.folder;
    history.pushState(null, "", this.api.place(folder.id, directory));
    if (matchMedia("(max-width: 639.98px)").matches) this.panel = null;
    this.#enter(folder, directory, focus);
  }

  up() {
    const above = parent(this.directory);
    if (above !== null) this.go(this.folder.id, above, basename(this.directory));
  }

  /** The mark: the folder itself, or the page of all folders where there are several. */
  home(event) {
    if (this.folders.length > 1 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.go(this.folder.id, "");
  }

  #enter(folder, directory, focus = null) {
    const other = this.folder !== null && folder.id !== this.folder.id;
    this.folder = folder;
    this.directory = directory;
    this.#focusAfter = focus;
    this.picking.cursor = 0;
    if (other) this.planner.picked();
    this.load("", true);
  }

  /** Load the directory anew; with `focusing` the focus goes to the listing when the first rows are there. */
  async load(query = this.listing?.query ?? "", focusing = false) {
    this.#loading?.abort();
    const loading = new AbortController();
    this.#loading = loading;
    this.stale = 0;
    const listing = new Listing(this.directory, {
      sort: this.#sort,
      language: this.words.numbers.language,
      worker: this.#worker,
      changed: () => this.changed(),
    });
    listing.query = query;
    const before = this.listing;
    // a reload keeps what is shown until the new rows are there
    if (focusing || before === null || before.error !== null) this.listing = listing;
    this.changed();
    let arranged = 0;
    try {
      const page = (cursor) => this.api.list(this.folder.id, listing.directory, cursor, PAGE);
      let coming = page(this.#look);
      this.#look = null;
      let cursor = null;
      do {
        const { items, total, cursor: next, version } = await coming;
        if (loading.signal.aborted) return;
        if (next !== null) {
          coming = page(next); // while this one is taken in
          coming.catch(() => {}); // told when its turn comes
        }
        listing.push(items, total);
        listing.version ??= version;
        cursor = next;
        // the first page at once, then each time twice as much is there: sorting stays cheap and rows do not hop about
        if (cursor === null) listing.done = true;
        if (cursor === null || listing.length >= 2 * arranged) {
          arranged = listing.length;
          await listing.arrange();
          if (loading.signal.aborted) return;
          this.#shown(listing, focusing && arranged === Math.min(PAGE, total));
        }
        this.changed();
      } while (cursor !== null);
      const resized = this.selection.resize(listing.directory, listing.total);
      if (resized !== this.selection) this.picking.set(resized);
    } catch (error) {
      if (loading.signal.aborted) return;
      if (error.status === undefined && before !== null && this.listing === before) return; // offline: the old rows stay
      listing.error = error;
      this.listing = listing;
    }
    this.changed();
  }

  #shown(listing, focusing) {
    const focused = this.listing === listing ? null : this.#focusedName();
    this.listing = listing;
    const wanted = this.#focusAfter ?? focused;
    if (wanted !== null) {
      const place = listing.position(listing.row(wanted));
      if (place >= 0) this.picking.cursor = place;
      if (place >= 0 || listing.done) this.#focusAfter = null;
    }
    if (focusing) {
      this.picking.focusRow();
      this.tell(`${this.title}, ${this.plain("list.entries", { n: listing.total })}`);
    }
    if (listing.done) this.picking.cursor = Math.max(0, Math.min(this.picking.cursor, listing.order.length - 1));
  }

  #focusedName() {
    const { listing } = this;
    return listing === null ? null : (listing.names[listing.order[this.picking.cursor]] ?? null);
  }

  refresh(focus = null) {
    this.#focusAfter = focus;
    return this.load();
  }

  // A look at a huge folder costs the server a walk: the longer one takes, the rarer they are.
  async #keepLooking() {
    for (let took = 0; ; ) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(LOOK, LOOK_SHARE * took)));
      const begun = performance.now();
      await this.#lookForChanges();
      took = performance.now() - begun;
    }
  }

  // Two people at once: what others did is told, and rows never jump under the pointer.
  async #lookForChanges() {
    const { listing, connection } = this;
    if (document.hidden || !listing?.done || listing.version === null || connection.state !== "online") return;
    try {
      const { changed, total, names = [] } = await this.api.changes(this.folder.id, this.directory, listing.version);
      if (this.listing !== listing || !changed) return;
      const stale = Math.max(1, names.length, Math.abs(total - listing.total));
      if (stale === this.stale) return;
      this.stale = stale;
      this.planner.changed();
      this.changed();
    } catch {
      // the strip tells when the server is away; a directory that is gone is told when it is opened
    }
  }

  // -------------------------------------------------------------- filter, order

  async filter(query) {
    const { listing } = this;
    this.picking.cursor = 0;
    await listing.arrange(query);
    this.tell(
      query === ""
        ? this.plain("list.entries", { n: listing.total })
        : this.plain("list.match", { n: listing.order.length, m: listing.total }),
    );
  }

  async sortBy(key) {
    const { listing } = this;
    const before = this.#sort;
    this.#sort = { key, descending: before.key === key ? !before.descending : key !== "name" };
    await listing.arrange(listing.query, this.#sort);
    const word = this.#sort.descending ? "sort.descending" : "sort.ascending";
    this.tell(this.plain(word, { column: this.words.say(`column.${key}`) }));
  }

  focusFilter() {
    document.getElementById("filter")?.focus();
  }

  /** Escape: close a panel, then clear the filter; never the selection. */
  escape() {
    if (this.panel !== null) this.hidePanel();
    else if (this.listing.query !== "") this.filter("");
    else return false;
    return true;
  }

  // -------------------------------------------------------------- entries

  address(entry) {
    const path = join(this.directory, entry.name);
    return entry.kind === "directory" ? this.api.place(this.folder.id, path) : this.api.preview(this.folder.id, path);
  }

  open(place) {
    this.openEntry(this.listing.at(this.listing.order[place]));
  }

  openEntry(entry) {
    if (entry.kind === "directory" || entry.leads === "directory") {
      this.go(this.folder.id, join(this.directory, entry.name));
    } else {
      this.previewed = { ...entry, path: join(this.directory, entry.name) };
      this.show("preview");
    }
  }

  async downloadFile(entry) {
    const file = entry.path ?? join(this.directory, entry.name);
    await this.attempt(() => this.downloads.start({ folder: this.folder.id, file }));
  }

  /** Paths of one entry, or of the selection, to the clipboard. */
  async copyPath(entry) {
    const paths = entry === null ? this.selection.request().files : [join(this.directory, entry.name)];
    await this.copy(paths.map((path) => join(this.folder.name, path)).join("\n"));
    this.tell(this.words.say("act.copied"));
  }

  async copy(text) {
    await navigator.clipboard.writeText(typeof text === "function" ? await text() : text);
  }

  // -------------------------------------------------------------- panels, words, errors

  show(panel) {
    this.panel = panel;
    if (panel === "links") this.offers.load();
    if (panel === "trash") this.changes.loadTrash();
    this.changed();
  }

  togglePanel(panel) {
    this.panel === panel ? this.hidePanel() : this.show(panel);
  }

  hidePanel() {
    this.panel = null;
    this.picking.focusRow();
  }

  showActivity(open) {
    this.activityOpen = open;
    this.changed();
  }

  ask(dialog) {
    this.dialog = dialog;
    this.changed();
  }

  /** Do something that the server may refuse; what it says is shown until it is dealt with. */
  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      if (error.status === undefined && error.name !== "Error") throw error;
      this.trouble(error);
      return undefined;
    }
  }

  trouble(problem) {
    this.notice = { problem };
    this.changed();
  }

  /** Tell what was done: for 6 s, 30 s with a way back (which "Deleted" keeps), what went wrong until it is dealt with. */
  notify(notice) {
    this.notice = notice;
    this.changed();
    if (notice === null || notice.failed) return;
    setTimeout(() => this.notice === notice && this.notify(null), notice.undo ? 30_000 : 6_000);
  }

  speak(language) {
    this.words = new Words(this.tables[language] ?? this.tables.en, new Numbers(language in this.tables ? language : "en"));
    document.documentElement.lang = language;
    this.changed();
  }

  setLanguage(language) {
    keep("pannier-lang", language);
    this.speak(language);
    if (this.listing !== null) {
      this.listing.language = language;
      this.listing.arrange();
    }
  }

  setTheme(theme) {
    this.theme = theme;
    document.documentElement.dataset.theme = theme;
    keep("pannier-theme", theme);
    this.changed();
  }

  switchTheme() {
    const dark = this.theme === "dark" || (this.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.setTheme(dark ? "light" : "dark");
  }

  async signOut() {
    const body = new URLSearchParams({ csrf: this.server.csrf });
    await fetch(`${this.api.base}/leave`, { method: "POST", body });
    sessionStorage.clear();
    location.assign(`${this.api.base}/`);
  }
}

function keep(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}
