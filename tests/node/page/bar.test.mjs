import assert from "node:assert/strict";
import { test } from "node:test";
import { NONE, face, step } from "../../../src/pannier/desk/static/page/bar.js";

const plan = {
  entries: 213, files: 212, directories: 1, links: 0, bytes: 3_116_427_058, length: 3_116_457_222, known: 0, refused: 0,
  asked: 213, renamed: 0, omitted: 0, single: false,
};
const run = (...events) => events.reduce((state, event) => step(state, { at: 0, ...event }), NONE);
const picked = { type: "picked", picked: 4 };
const planned = (changes = {}) => ({ type: "planned", plan: { ...plan, ...changes } });
const keys = (shown) => [...shown.text, ...shown.below].map(([key]) => key);

// Every state of the guide's table: events, what is said, and the one button.
const TABLE = [
  ["none", [], ["bar.none"], null],
  ["counting", [picked, { type: "progress", entries: 18_400, bytes: 1 }], ["bar.selected", "bar.so-far"], "bar.counting"],
  ["exact", [picked, planned()], ["bar.selected", "bar.entries", "size", "bar.exactly", "bar.resumable"], "act.download"],
  ["one file", [picked, planned({ single: true })], ["bar.selected", "size", "bar.one-file"], "act.download-file"],
  ["empty folders", [picked, planned({ files: 0, directories: 1, entries: 1, bytes: 0 })], ["bar.selected", "bar.empty", "bar.exactly", "bar.resumable"], "act.download"],
  ["refusals", [picked, planned({ refused: 3, asked: 216 })], ["bar.refused", "bar.nothing-sent"], "act.review"],
  ["limit", [picked, { type: "problem", problem: { type: "limit-exceeded", status: 413, document: {} } }], ["bar.limit"], "act.review"],
  ["smaller", [picked, planned({ length: null })], ["bar.entries", "bar.contents", "bar.unknown"], "act.download"],
  ["changed", [picked, planned(), { type: "changed", at: 5 }], ["bar.selected", "bar.changed"], "bar.counting"],
  ["failed", [picked, { type: "problem", problem: { type: "storage/generic", status: 500 } }], ["bar.selected"], "act.try-again"],
  ["busy", [picked, { type: "problem", problem: { type: "unavailable", status: 503, retryAfter: 8 } }], ["bar.selected", "bar.busy"], "act.try-now"],
  ["offline", [picked, planned(), { type: "offline" }], ["bar.selected", "bar.entries", "size", "bar.offline"], "act.download"],
  ["started", [picked, planned(), { type: "started" }], ["bar.selected", "bar.entries", "size", "bar.started"], "act.download-again"],
  ["cleared", [picked, { type: "cleared", picked: 4 }], ["bar.cleared"], "act.undo"],
];
for (const [name, events, said, button] of TABLE) {
  test(`the bar, ${name}`, () => {
    const shown = face(run(...events), 0);
    assert.deepEqual(keys(shown), said);
    assert.equal(shown.primary?.key ?? null, button);
  });
}

test("nothing is downloaded that was not counted, nor with one refusal", () => {
  const ready = (state) => face(state, 0).primary?.action === "download" && face(state, 0).primary.enabled;
  assert.ok(ready(run(picked, planned())));
  for (const events of [[], [picked], [picked, planned({ refused: 1 })], [picked, planned(), picked], [picked, planned(), { type: "offline" }]]) {
    assert.ok(!ready(run(...events)));
  }
});

test("numbers of an older plan change nothing", () => {
  const exact = run(picked, planned());
  assert.equal(step(exact, { type: "progress", entries: 1, bytes: 1 }), exact);
  assert.equal(step(exact, planned({ entries: 1 })), exact);
  const cleared = run(picked, { type: "cleared", picked: 4 });
  assert.equal(step(cleared, planned()), cleared);
});

test("from five seconds on a slow storage is told, with a way to stop", () => {
  const slow = face(run(picked), 5_000);
  assert.ok(slow.stop && keys(slow).includes("bar.slow"));
  assert.ok(!face(run(picked), 4_900).stop);
  assert.equal(face(run(picked, { type: "stopped" }), 0).primary.action, "recount");
});

test("offline keeps the last exact numbers and comes back to them", () => {
  const back = run(picked, planned(), { type: "offline" }, { type: "online" });
  assert.equal(face(back, 0).primary.enabled, true);
});
