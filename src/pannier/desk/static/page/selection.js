// What somebody picked in one served folder. Values never change: each step gives another selection.

import { join, parent } from "./names.js";

/** Above this many names "all but these" is said by the directory and what it leaves out. */
const MOST_NAMES = 10_000;

export class Selection {
  // by directory: {names} are picked; or {all: number of rows, but: names that are not}
  #places;

  constructor(places = new Map()) {
    this.#places = places;
  }

  static empty = new Selection();

  /** Whether this very row was picked. */
  has(directory, name) {
    const place = this.#places.get(directory);
    if (place === undefined) return false;
    return place.all === undefined ? place.names.has(name) : !place.but.has(name);
  }

  /** The picked directory, the nearest above, that brings a path with it; null without one. */
  cover(directory) {
    for (let path = directory; path !== ""; path = parent(path)) {
      const above = parent(path);
      if (this.has(above, path.slice(above === "" ? 0 : above.length + 1))) return path;
    }
    return null;
  }

  get empty() {
    return this.#places.size === 0;
  }

  /** How many rows were picked; what a picked directory brings is not counted again. */
  get count() {
    let n = 0;
    for (const [directory, place] of this.#places) if (this.cover(directory) === null) n += this.#rows(place);
    return n;
  }

  /** How many rows were picked in one directory. */
  countIn(directory) {
    const place = this.#places.get(directory);
    return place === undefined ? 0 : this.#rows(place);
  }

  #rows(place) {
    return place.all === undefined ? place.names.size : place.all - place.but.size;
  }

  /** Picked or not, in turn. */
  toggle(directory, name) {
    return this.mark(directory, [name], !this.has(directory, name));
  }

  /** The names are picked, or not any more. */
  mark(directory, names, on) {
    const places = new Map(this.#places);
    const before = places.get(directory);
    let after;
    if (before?.all !== undefined) {
      const but = new Set(before.but);
      for (const name of names) on ? but.delete(name) : but.add(name);
      after = but.size < before.all ? { all: before.all, but } : null;
    } else {
      const picked = new Set(before?.names);
      for (const name of names) on ? picked.add(name) : picked.delete(name);
      after = picked.size > 0 ? { names: picked } : null;
    }
    after === null ? places.delete(directory) : places.set(directory, after);
    return new Selection(places);
  }

  /** All `total` rows of a directory are picked. */
  markAll(directory, total) {
    if (total === 0) return this;
    const places = new Map(this.#places);
    places.set(directory, { all: total, but: new Set() });
    return new Selection(places);
  }

  /** A directory has `total` rows now; matters where all of them are picked. */
  resize(directory, total) {
    const place = this.#places.get(directory);
    if (place?.all === undefined || place.all === total) return this;
    const places = new Map(this.#places);
    total > place.but.size ? places.set(directory, { all: total, but: place.but }) : places.delete(directory);
    return new Selection(places);
  }

  /** Without a path and all below it: it was moved or deleted. */
  without(path) {
    const above = parent(path);
    let after = this;
    if (above !== null && this.#places.get(above)?.all === undefined) {
      after = this.mark(above, [path.slice(above === "" ? 0 : above.length + 1)], false);
    }
    const places = new Map(after.#places);
    for (const directory of places.keys()) {
      if (directory === path || directory.startsWith(`${path}/`)) places.delete(directory);
    }
    return new Selection(places);
  }

  /**
   * What a plan is asked for: `files`, and `except` below them. `namesOf(directory)` gives the names of a directory's
   * rows where it is at hand, else null.
   */
  request(namesOf = () => null) {
    const files = [];
    const except = [];
    for (const [directory, place] of this.#places) {
      if (this.cover(directory) !== null) continue;
      if (place.all === undefined) {
        for (const name of place.names) files.push(join(directory, name));
        continue;
      }
      const names = place.but.size > 0 ? namesOf(directory) : null;
      if (names !== null && names.length <= MOST_NAMES) {
        for (const name of names) if (!place.but.has(name)) files.push(join(directory, name));
      } else {
        files.push(directory === "" ? "." : directory);
        for (const name of place.but) except.push(join(directory, name));
      }
    }
    return { files, except };
  }

  /** Directories with picks, each with its number: [[directory, number], …]. */
  get places() {
    return Array.from(this.#places, ([directory, place]) => [directory, this.#rows(place)]);
  }

  /** Picked names of a directory; null where "all" stands for them. */
  names(directory) {
    const place = this.#places.get(directory);
    if (place === undefined) return [];
    return place.all === undefined ? Array.from(place.names) : null;
  }

  /** For the browser's store of a tab. */
  toJSON() {
    return Array.from(this.#places, ([directory, { names, all, but }]) =>
      all === undefined ? { directory, names: [...names] } : { directory, all, but: [...but] },
    );
  }

  static fromJSON(places) {
    return new Selection(
      new Map(
        places.map(({ directory, names, all, but }) => [
          directory,
          all === undefined ? { names: new Set(names) } : { all, but: new Set(but) },
        ]),
      ),
    );
  }
}
