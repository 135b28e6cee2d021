// Picking rows: where the focus is, what a press or a key does to the selection.

import * as asks from "./asks.js";
import { moved } from "./keys.js";
import { basename, parent } from "./names.js";
import { Selection } from "./selection.js";

export class Picking {
  cursor = 0; // the place in the listing that has the focus
  cell = 0; // the cell of that row: 0 the row itself, then box, name, menu
  focusing = 0; // counted up when the focus is to go to the cursor
  focused = 0; // what it was when the focus went there last
  #anchor = 0;
  #selections = new Map(); // by folder
  #cleared = null; // what was cleared last, until the next pick

  constructor(desk) {
    this.desk = desk;
  }

  get selection() {
    return this.#selections.get(this.desk.folder.id) ?? Selection.empty;
  }

  /** The selection is another one: the bar counts it, the tab remembers it. */
  set(selection) {
    this.#selections.set(this.desk.folder.id, selection);
    this.#cleared = null;
    this.desk.planner.picked();
    this.remember();
    this.desk.changed();
  }

  remember() {
    const all = Object.fromEntries(Array.from(this.#selections, ([folder, each]) => [folder, each.toJSON()]));
    try {
      sessionStorage.setItem("pannier.selection", JSON.stringify(all));
    } catch {
      // a store that is full or forbidden costs the selection at a reload only
    }
  }

  recall() {
    try {
      const all = JSON.parse(sessionStorage.getItem("pannier.selection") ?? "{}");
      for (const [folder, each] of Object.entries(all)) this.#selections.set(folder, Selection.fromJSON(each));
    } catch {
      sessionStorage.removeItem("pannier.selection");
    }
  }

  #name(place) {
    const { listing } = this.desk;
    return listing.names[listing.order[place]];
  }

  #names(from, to) {
    const names = [];
    for (let place = Math.min(from, to); place <= Math.max(from, to); place += 1) names.push(this.#name(place));
    return names;
  }

  get #covered() {
    return this.selection.cover(this.desk.directory) !== null;
  }

  /** The focus is at a row. */
  place(place) {
    this.cursor = place;
    this.desk.changed();
  }

  focusRow() {
    this.cell = 0;
    this.focusing += 1;
    this.desk.changed();
  }

  /** One row is picked, or not any more; extending goes on from here. */
  toggle(place) {
    if (this.#covered || this.desk.listing.order.length === 0) return;
    this.cursor = place;
    this.#anchor = place;
    this.set(this.selection.toggle(this.desk.directory, this.#name(place)));
  }

  /** All rows from the anchor to this one become what the anchor is. */
  extend(place) {
    if (this.#covered || this.desk.listing.order.length === 0) return;
    const anchor = Math.min(this.#anchor, this.desk.listing.order.length - 1);
    this.cursor = place;
    this.set(this.selection.mark(this.desk.directory, this.#names(anchor, place), true));
  }

  /** Everything that matches the filter. */
  selectAll() {
    if (this.#covered) return;
    const { listing, directory } = this.desk;
    if (listing.query === "") this.set(this.selection.markAll(directory, listing.total));
    else this.set(this.selection.mark(directory, Array.from(listing.order, (row) => listing.names[row]), true));
  }

  unselectHere() {
    const { listing, directory } = this.desk;
    this.set(this.selection.mark(directory, listing.names, false));
  }

  /** A picked directory is none any more. */
  takeOut(path) {
    this.set(this.selection.mark(parent(path), [basename(path)], false));
  }

  clear() {
    const before = this.selection;
    if (before.empty) return;
    this.#selections.set(this.desk.folder.id, Selection.empty);
    this.#cleared = before;
    this.desk.planner.cleared(before.count);
    this.remember();
    this.desk.changed();
  }

  undo() {
    if (this.#cleared !== null) this.set(this.#cleared);
  }

  /** Do what a key of the listing means; false where it means nothing here. `page` rows are in view. */
  command(command, page) {
    const { desk } = this;
    const total = desk.listing.order.length;
    const at = Math.min(this.cursor, Math.max(0, total - 1));
    switch (command.do) {
      case "move": {
        const to = moved(at, total, page, command);
        if (command.extend && total > 0 && !this.#covered) {
          if (!this.selection.has(desk.directory, this.#name(this.#anchor < total ? this.#anchor : at))) this.#anchor = at;
          this.set(this.selection.mark(desk.directory, this.#names(this.#anchor, to), true));
        }
        this.cursor = to;
        this.cell = 0;
        this.focusing += 1;
        if (!command.extend) this.#anchor = to;
        break;
      }
      case "cell":
        this.cell = Math.max(0, Math.min(3, this.cell + command.by));
        this.focusing += 1;
        break;
      case "toggle":
        if (total > 0) command.extend ? this.extend(at) : this.toggle(at);
        break;
      case "select-all":
        this.selectAll();
        break;
      case "clear":
        this.clear();
        break;
      case "open":
        if (total > 0) desk.open(at);
        break;
      case "parent":
        if (desk.directory === "") return false;
        desk.up();
        break;
      case "rename":
        if (!desk.writable || total === 0) return false;
        asks.rename(desk, desk.listing.at(desk.listing.order[at]));
        break;
      case "delete":
        if (!desk.writable || total === 0) return false;
        this.selection.empty ? asks.remove(desk, [this.#name(at)]) : asks.remove(desk, null);
        break;
      case "download":
        return desk.planner.download();
      case "filter":
        desk.focusFilter();
        break;
      case "help":
        desk.show("help");
        break;
      case "escape":
        return desk.escape();
      default:
        return false;
    }
    desk.changed();
    return true;
  }
}
