// Uploads as a queue: what waits, what runs, what needs an answer. Pure; the sending is in uploader.js.

/** Files that are sent at once, and milliseconds to the first and the longest wait after a broken connection. */
export const AT_ONCE = 3;
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;

/** States in which an upload has come to its end. */
export const ENDED = new Set(["sent", "refused", "skipped", "stopped"]);

/** Answers after which another try may go well: nothing (0), signed out, busy, held by another, broken in between. */
const PASSING = new Set([0, 401, 408, 409, 423, 429, 500, 502, 503, 504]);

/** By which a file that is added again is known: its place, size and time. */
export function fingerprint(folder, path, file) {
  return JSON.stringify([folder, path, file.size, file.lastModified]);
}

/** An upload of one file to `path` of a folder, below `into`. */
export function upload(id, { folder, into, path, file }) {
  return {
    id, folder, into, path, file,
    size: file.size,
    state: "queued", // queued, asks, sending, waiting, paused, and those of ENDED
    sent: 0, // bytes that left
    safe: 0, // bytes that the server has acknowledged
    conflict: "refuse", // until somebody has answered
    there: null, // {size, time} of what has the name
    url: null,
    problem: null,
    tries: 0,
    retryAt: null,
  };
}

/** Milliseconds until the next try. */
export function wait(tries) {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** tries);
}

/**
 * What becomes of an upload after an error. `status` and `type` are the server's, undefined where nothing came back.
 * Returns {state, …}; "again" is another try at once, "anew" one from the first byte.
 */
export function after(item, { status, type }, now) {
  if (type === "target-exists" || type === "name-exists") return { state: "asks" };
  if (type === "storage/tus-session-not-found" && item.url !== null) return { state: "anew" };
  const passing = status === undefined || PASSING.has(status) || type === "upload-checksum-mismatch";
  if (passing && type !== "storage/forbidden") {
    return { state: "waiting", tries: item.tries + 1, retryAt: now + wait(item.tries) };
  }
  return { state: "refused" };
}

/** The uploads that may begin now. */
export function next(items, paused) {
  if (paused) return [];
  const free = AT_ONCE - items.filter(({ state }) => state === "sending").length;
  return free <= 0 ? [] : items.filter(({ state }) => state === "queued").slice(0, free);
}

/** Numbers of the whole tray. */
export function summary(items) {
  const counted = items.filter(({ state }) => !["skipped", "stopped", "refused"].includes(state));
  const by = (state) => items.filter((item) => item.state === state).length;
  return {
    files: counted.length,
    sentFiles: by("sent"),
    bytes: counted.reduce((sum, { size }) => sum + size, 0),
    sent: counted.reduce((sum, { sent, state, size }) => sum + (state === "sent" ? size : sent), 0),
    asking: by("asks"),
    refused: by("refused"),
    skipped: by("skipped"),
    waiting: by("waiting"),
    paused: by("paused"),
    open: items.some(({ state }) => !ENDED.has(state)),
  };
}

/** The answer to "exists", for one upload or for all that ask. Returns the items that it changed. */
export function answer(items, id, choice, all) {
  const chosen = items.filter((item) => item.state === "asks" && (all || item.id === id));
  for (const item of chosen) {
    if (choice === "skip") item.state = "skipped";
    else Object.assign(item, { state: "queued", conflict: choice === "both" ? "rename" : "replace" });
  }
  return chosen;
}
