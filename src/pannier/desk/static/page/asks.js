// What menus and keys ask for first: which dialog, about which paths.

import { join } from "./names.js";

/** The paths of some names here, or of the selection where `names` is null. */
export function paths(desk, names) {
  if (names !== null) return names.map((name) => join(desk.directory, name));
  return desk.selection.request((directory) => (directory === desk.directory && desk.listing.done ? desk.listing.names : null)).files;
}

/** Another name for one entry, or for the one that is picked. */
export function rename(desk, entry) {
  const [path] = paths(desk, entry === null ? null : [entry.name]);
  desk.ask({ kind: "rename", path });
}

/** Another place, for some names here or for the selection. */
export function move(desk, names) {
  desk.ask({ kind: "move", paths: paths(desk, names) });
}

/** Delete some names here, or the selection. */
export function remove(desk, names) {
  return desk.attempt(() => desk.changes.remove(paths(desk, names)));
}

/** A link to what was counted. */
export function share(desk) {
  desk.ask({ kind: "share", request: desk.planner.request(), plan: desk.bar.exact, picked: desk.bar.picked });
}

/** A file request for a directory of this place; for the place itself where `entry` is null. */
export function request(desk, entry) {
  desk.ask({ kind: "request", path: entry === null ? desk.directory : join(desk.directory, entry.name) });
}
