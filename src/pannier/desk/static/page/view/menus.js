// What the menus offer, by what may be done.

import * as asks from "../asks.js";

/** The menu of one row. */
export function entryMenu(desk, words, entry) {
  const say = (key) => words.say(key);
  const writes = desk.writable;
  const folder = entry.kind === "directory" || entry.leads === "directory";
  return [
    { text: say(folder ? "act.open" : "act.preview"), icon: folder ? "folder" : "image", act: () => desk.openEntry(entry) },
    !folder && entry.kind !== "other" && { text: say("act.download-file"), icon: "down", act: () => desk.downloadFile(entry) },
    { text: say("act.copy-path"), icon: "copy", act: () => desk.copyPath(entry) },
    writes && null,
    writes && { text: say("act.rename"), act: () => asks.rename(desk, entry) },
    writes && { text: say("act.move"), act: () => asks.move(desk, [entry.name]) },
    writes && folder && desk.shares && { text: say("act.new-request"), act: () => asks.request(desk, entry) },
    writes && { text: say("act.delete"), icon: "close", danger: true, act: () => asks.remove(desk, [entry.name]) },
  ];
}

/** The menu of the selection. */
export function selectionMenu(desk, words) {
  const say = (key) => words.say(key);
  const writes = desk.writable;
  const single = desk.selection.count === 1;
  const settled = ["exact", "started"].includes(desk.bar.phase) && desk.bar.offline === null;
  const onPhones = [
    { text: say("act.details"), act: () => desk.show("details"), phone: true },
    desk.shares && settled && { text: say("act.share"), icon: "share", act: () => asks.share(desk), phone: true },
    ...formatMenu(desk, words).map((item) => ({ ...item, phone: true })),
  ];
  return [
    ...onPhones,
    desk.planner.watchable && { text: say("act.save-watch"), icon: "down", act: () => desk.planner.save() },
    writes && single && { text: say("act.rename"), act: () => asks.rename(desk, null) },
    writes && { text: say("act.move"), act: () => asks.move(desk, null) },
    { text: say("act.copy-path"), icon: "copy", act: () => desk.copyPath(null) },
    writes && null,
    writes && { text: say("act.delete"), icon: "close", danger: true, act: () => asks.remove(desk, null) },
  ];
}

/** The formats: ZIP, TAR, and the smaller ZIP. */
export const FORMATS = [
  ["zip", "format.zip", "format.zip.note"],
  ["tar", "format.tar", "format.tar.note"],
  ["zip+deflate", "format.smaller", "format.smaller.note"],
];

export function formatMenu(desk, words) {
  return FORMATS.map(([format, text, note]) => ({
    text: words.say(text),
    note: words.say(note),
    checked: desk.planner.format === format,
    act: () => desk.planner.choose(format),
  }));
}
