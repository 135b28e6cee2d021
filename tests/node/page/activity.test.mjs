import assert from "node:assert/strict";
import { test } from "node:test";
import { Watch, quarter, row } from "../../../src/pannier/desk/static/page/activity.js";
import { inListing, moved } from "../../../src/pannier/desk/static/page/keys.js";
import { after, answer, fingerprint, next, summary, upload, wait } from "../../../src/pannier/desk/static/page/uploads.js";

const session = (changes) => ({
  id: "1", filename: "trip.zip", length: 1000, delivered: 0, running: 0, word: "waiting", failure: null,
  resumable_until: "2026-11-22T15:40:00Z", completed_at: null, spent_at: null, taken_at: null, ...changes,
});

test("a download goes its way: waiting, running, interrupted, resumed, sent", () => {
  const watch = new Watch();
  const look = (now, changes) => {
    const seen = session(changes);
    watch.look(seen, now);
    return row(seen, watch, now);
  };
  assert.equal(look(0, {}).state, "waiting");
  assert.equal(look(1000, { word: "running", running: 1, delivered: 100 }).state, "running");
  const cut = look(2000, { word: "interrupted", delivered: 412 });
  assert.equal(cut.state, "interrupted");
  assert.equal(cut.tone, "warn"); // an interruption is a state, not an error
  assert.equal(cut.text[0], "activity.interrupted");
  const on = look(3000, { word: "running", running: 1, delivered: 500 });
  assert.equal(on.state, "resumed");
  assert.deepEqual(on.text[1].at, { size: 412 });
  const end = look(4000, { word: "sent", delivered: 1000, completed_at: "2026-11-22T14:09:00Z" });
  assert.deepEqual([end.state, end.ended, end.text[0]], ["sent", true, "activity.sent-resumed"]);
});

test("nothing taken for a while is pausing, not an error", () => {
  const watch = new Watch();
  const running = session({ word: "running", running: 1, delivered: 100 });
  watch.look(running, 1000);
  assert.equal(row(running, watch, 5000).state, "running");
  assert.equal(row(running, watch, 13_000).state, "pausing");
  assert.equal(row(running, watch, 13_000).text[1].s, 12);
});

test("what stopped names the entry", () => {
  const failure = { entry: "notes/todo.txt", cause: "source-changed", detail: "", offset: 1, at: "2026-11-22T14:02:00Z" };
  const stopped = row(session({ word: "stopped", delivered: 5, failure }), new Watch(), 0);
  assert.equal(stopped.text[0], "activity.stopped.source-changed");
  assert.deepEqual(stopped.text[1].name, { name: "notes/todo.txt" });
  assert.equal(row(session({ word: "interrupted", length: null, delivered: 5 }), new Watch(), 0).text[0], "activity.cut");
});

test("a voice hears each quarter once", () => {
  const watch = new Watch();
  const heard = [100, 260, 300, 510, 900, 1000].map((sent) => quarter(watch, sent, 1000));
  assert.deepEqual(heard, [null, 25, null, 50, 75, null]);
});

test("the keyboard of the listing", () => {
  const press = (key, more = {}) => inListing({ key, shift: false, ctrl: false, meta: false, alt: false, ...more });
  assert.deepEqual(press("ArrowDown", { shift: true }), { do: "move", by: 1, extend: true });
  assert.deepEqual(press("a", { ctrl: true }), { do: "select-all" });
  assert.deepEqual(press("Enter", { meta: true }), { do: "download" });
  assert.deepEqual(press("u"), { do: "clear" });
  assert.deepEqual(press("F10", { shift: true }), { do: "menu" });
  // the browser's own stay its own
  for (const key of ["f", "l", "r", "t", "j", "w", "n"]) assert.equal(press(key, { ctrl: true }), null);
  assert.equal(press("A", { ctrl: true, shift: true }), null);
  assert.equal(press("F5"), null);
});

test("the focus moves by rows and pages, and stays inside", () => {
  assert.equal(moved(0, 10, 5, { by: -1 }), 0);
  assert.equal(moved(9, 10, 5, { by: 1 }), 9);
  assert.equal(moved(2, 10, 5, { pages: 1 }), 6);
  assert.equal(moved(2, 10, 5, { to: "last" }), 9);
  assert.equal(moved(0, 0, 5, { by: 1 }), 0);
});

const file = (size = 10) => ({ size, lastModified: 1, name: "a" });
const begun = (id, state = "queued") => ({ ...upload(id, { folder: "trip", into: "", path: `${id}.txt`, file: file() }), state });

test("three uploads at once, none while paused", () => {
  const items = [begun(1, "sending"), begun(2), begun(3), begun(4), begun(5, "asks")];
  assert.deepEqual(next(items, false).map(({ id }) => id), [2, 3]);
  assert.deepEqual(next(items, true), []);
});

test("what becomes of an upload after an error", () => {
  const item = { ...begun(1), url: "x" };
  assert.equal(after(item, { status: 409, type: "target-exists" }, 0).state, "asks");
  assert.deepEqual(after(item, {}, 5), { state: "waiting", tries: 1, retryAt: 1005 });
  for (const status of [0, 408, 429, 500, 502, 503]) assert.equal(after(item, { status }, 0).state, "waiting");
  for (const status of [400, 403, 413, 507]) {
    assert.equal(after(item, { status, type: "limit-exceeded" }, 0).state, "refused");
  }
  assert.equal(after(item, { status: 404, type: "storage/tus-session-not-found" }, 0).state, "anew");
  assert.deepEqual([0, 1, 2, 9].map(wait), [1000, 2000, 4000, 30_000]);
});

test("one answer for all that ask", () => {
  const items = [begun(1, "asks"), begun(2, "asks"), begun(3)];
  assert.equal(answer(items, 1, "both", false).length, 1);
  assert.deepEqual([items[0].state, items[0].conflict], ["queued", "rename"]);
  answer(items, 2, "skip", true);
  assert.equal(items[1].state, "skipped");
  const { files, skipped, open } = summary(items);
  assert.deepEqual([files, skipped, open], [2, 1, true]);
});

test("a file that is added again is known by its place, size and time", () => {
  assert.equal(fingerprint("trip", "a/b", file()), fingerprint("trip", "a/b", file()));
  assert.notEqual(fingerprint("trip", "a/b", file()), fingerprint("trip", "a/b", file(11)));
});
