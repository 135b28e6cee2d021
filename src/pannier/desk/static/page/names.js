// Names as they are shown: nothing in them can act on the text around them.

const PICTURES = 0x2400; // "Control Pictures": U+0000 is shown as ␀
const DIRECTIONS = /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/** A name with control and direction characters made visible, and undecodable bytes as U+FFFD. */
export function visible(name) {
  let text = "";
  for (const character of name) {
    const code = character.codePointAt(0);
    if (code < 0x20) text += String.fromCodePoint(PICTURES + code);
    else if (code === 0x7f) text += "\u2421";
    else if (code >= 0x80 && code < 0xa0) text += escape(code);
    else if (code >= 0xd800 && code < 0xe000) text += "\ufffd";
    else if (DIRECTIONS.test(character) && code !== 0x200d && code !== 0x200c) text += escape(code);
    else text += character;
  }
  return text;
}

function escape(code) {
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩`;
}

const segments = typeof Intl.Segmenter === "function" ? new Intl.Segmenter("und", { granularity: "grapheme" }) : null;

/**
 * A shown name in two parts, [head, tail]: where the room is short, the head is cut with "…" by the style sheet and
 * the tail, with the extension, stays. Short names are all head.
 */
export function split(shown, keep = 9) {
  if (/^[\x20-\x7e]*$/.test(shown) && shown.length <= keep * 2) return [shown, ""];
  const letters = segments ? Array.from(segments.segment(shown), (part) => part.segment) : Array.from(shown);
  if (letters.length <= keep * 2) return [shown, ""];
  const dot = letters.lastIndexOf(".");
  const extension = dot > 0 ? letters.length - dot : 0;
  const tail = extension > 0 && extension <= keep ? Math.max(keep, extension + 3) : keep;
  return [letters.slice(0, -tail).join(""), letters.slice(-tail).join("")];
}

/** `photos` in `2026` is `2026/photos`; the folder itself is "". */
export function join(directory, name) {
  return directory === "" ? name : `${directory}/${name}`;
}

/** The directory that holds a path; "" for the folder itself, null for that. */
export function parent(path) {
  if (path === "") return null;
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

/** The last part of a path. */
export function basename(path) {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Why a name cannot be given, as a key of words; null where it can. */
export function fault(name) {
  // eslint-disable-next-line no-control-regex
  if (name === "" || name === "." || name === ".." || /[/\u0000-\u001f\u007f]/u.test(name)) return "name-invalid";
  if (new TextEncoder().encode(name).length > 255) return "name-too-long";
  return null;
}

/** A name as a word of a shell. */
export function quoted(name) {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

/** The line for a terminal that fetches a link's archive: curl has to be told a name that is encoded in the URL. */
export function curl({ filename, file_url, password }) {
  const named = /^[\w.-]+$/.test(filename) ? "-O" : `-o ${quoted(filename)}`;
  return `curl ${named} ${password ? "-u :PASSWORD " : ""}${file_url}`;
}
