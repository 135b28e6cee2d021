import assert from "node:assert/strict";
import { test } from "node:test";
import { Selection } from "../../../src/pannier/desk/static/page/selection.js";

const none = Selection.empty;

test("rows are picked, and not any more", () => {
  const one = none.toggle("2026", "photos").toggle("", "README.md");
  assert.equal(one.count, 2);
  assert.ok(one.has("2026", "photos") && one.has("", "README.md") && !one.has("", "2026"));
  assert.deepEqual(one.request(), { files: ["2026/photos", "README.md"], except: [] });
  assert.ok(one.toggle("2026", "photos").toggle("", "README.md").empty);
});

test("a picked folder brings what is in it, and what was picked in it comes back when it is taken out", () => {
  const inner = none.toggle("2026/photos", "a.jpg").toggle("", "2026");
  assert.equal(inner.cover("2026/photos"), "2026");
  assert.equal(inner.cover(""), null);
  assert.equal(inner.count, 1);
  assert.deepEqual(inner.request().files, ["2026"]);
  assert.deepEqual(inner.toggle("", "2026").request().files, ["2026/photos/a.jpg"]);
  assert.equal(none.toggle("", "20").cover("2026"), null); // names, not prefixes
});

test("all of a folder is its path, not a hundred thousand names", () => {
  assert.deepEqual(none.markAll("big", 100_000).request(), { files: ["big"], except: [] });
  assert.deepEqual(none.markAll("", 100_000).request(), { files: ["."], except: [] });
  const but = none.markAll("big", 100_000).toggle("big", "x");
  assert.equal(but.count, 99_999);
  assert.ok(!but.has("big", "x") && but.has("big", "y"));
  assert.deepEqual(but.request(), { files: ["big"], except: ["big/x"] });
  assert.deepEqual(none.markAll("d", 3).toggle("d", "b").request(() => ["a", "b", "c"]), { files: ["d/a", "d/c"], except: [] });
  assert.ok(none.markAll("d", 2).mark("d", ["a", "b"], false).empty);
});

test("a selection survives being written down", () => {
  const picked = none.toggle("a", "caf\udce9").markAll("b", 5).toggle("b", "x");
  const again = Selection.fromJSON(JSON.parse(JSON.stringify(picked)));
  assert.deepEqual(again.request(), picked.request());
  assert.equal(again.count, picked.count);
});

test("what is gone is picked no more, nor what was in it", () => {
  const picked = none.toggle("", "a").toggle("a/b", "c").toggle("ab", "d");
  assert.deepEqual(picked.without("a").request().files, ["ab/d"]);
});

test("values do not change", () => {
  const before = none.toggle("", "a");
  before.toggle("", "b").markAll("", 4);
  assert.deepEqual(before.request().files, ["a"]);
  assert.ok(none.empty);
});
