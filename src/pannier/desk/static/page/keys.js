// The keyboard of the listing: a key and its modifiers come to the name of a command, or null. Pure.

/**
 * What a key in the listing means. `event` has key, shift, ctrl, meta, alt; `typing` is true in a field.
 * Browser shortcuts (find, address, reload, tabs, downloads) are never taken.
 */
export function inListing(event) {
  const { key, shift, ctrl, meta, alt } = event;
  const command = ctrl || meta;
  if (alt) return key === "ArrowUp" && !command ? { do: "parent" } : null;
  if (command) {
    if (key.toLowerCase() === "a" && !shift) return { do: "select-all" };
    if (key === "Enter") return { do: "download" };
    if (key === "Home" || key === "End") return { do: "move", to: key === "Home" ? "first" : "last", extend: shift };
    if (key === " ") return { do: "toggle" };
    return null;
  }
  switch (key) {
    case "ArrowUp":
      return { do: "move", by: -1, extend: shift };
    case "ArrowDown":
      return { do: "move", by: 1, extend: shift };
    case "PageUp":
      return { do: "move", pages: -1, extend: shift };
    case "PageDown":
      return { do: "move", pages: 1, extend: shift };
    case "Home":
      return { do: "move", to: "first", extend: shift };
    case "End":
      return { do: "move", to: "last", extend: shift };
    case "ArrowRight":
      return { do: "cell", by: 1 };
    case "ArrowLeft":
      return { do: "cell", by: -1 };
    case " ":
      return { do: "toggle", extend: shift };
    case "Enter":
      return { do: "open" };
    case "Backspace":
      return { do: "parent" };
    case "F2":
      return { do: "rename" };
    case "Delete":
      return { do: "delete" };
    case "ContextMenu":
      return { do: "menu" };
    case "F10":
      return shift ? { do: "menu" } : null;
    case "Escape":
      return { do: "escape" };
    case "/":
      return { do: "filter" };
    case "?":
      return { do: "help" };
    case "u":
    case "U":
      return { do: "clear" };
    default:
      return null;
  }
}

/** Where the focus goes from row `at` of `total`, with `page` rows in view. */
export function moved(at, total, page, command) {
  if (total === 0) return 0;
  if (command.to === "first") return 0;
  if (command.to === "last") return total - 1;
  const by = command.pages !== undefined ? command.pages * Math.max(1, page - 1) : command.by;
  return Math.max(0, Math.min(total - 1, at + by));
}

/** A plain object of a keyboard event. */
export function read(event) {
  return { key: event.key, shift: event.shiftKey, ctrl: event.ctrlKey, meta: event.metaKey, alt: event.altKey };
}
