import assert from "node:assert/strict";
import { test } from "node:test";
import { curl, basename, fault, join, parent, split, visible } from "../../../src/pannier/desk/static/page/names.js";
import { csv } from "../../../src/pannier/desk/static/page/offenders.js";
import { percentDecoded, percentEncoded, tail } from "../../../src/pannier/desk/static/page/server.js";

test("control and direction characters are shown, and act on nothing", () => {
  assert.equal(visible("a\u0000b\n\u007f"), "a\u2400b\u240a\u2421");
  assert.equal(visible("evil\u202egnp.exe"), "evil⟨U+202E⟩gnp.exe");
  assert.equal(visible("caf\udce9.txt"), "caf\ufffd.txt");
  assert.equal(visible("사진 🏔️.jpg"), "사진 🏔️.jpg");
});

test("a long name is cut in its middle, and keeps its extension", () => {
  assert.deepEqual(split("short.txt"), ["short.txt", ""]);
  const [head, end] = split("route-with-a-very-long-name-final.gpx");
  assert.equal(head + end, "route-with-a-very-long-name-final.gpx");
  assert.ok(end.endsWith("nal.gpx"));
  const emoji = split("👩‍👩‍👧‍👦".repeat(30));
  assert.equal(emoji[1], "👩‍👩‍👧‍👦".repeat(9)); // letters are not torn apart
});

test("paths", () => {
  assert.equal(join("", "a"), "a");
  assert.equal(join("a/b", "c"), "a/b/c");
  assert.equal(parent("a/b/c"), "a/b");
  assert.equal(parent("a"), "");
  assert.equal(parent(""), null);
  assert.equal(basename("a/b"), "b");
});

test("names that cannot be given", () => {
  for (const name of ["", ".", "..", "a/b", "a\u0000", "a\nb"]) assert.equal(fault(name), "name-invalid");
  assert.equal(fault("가".repeat(86)), "name-too-long");
  assert.equal(fault("가".repeat(85)), null);
});

test("addresses carry every byte of a name, and give it back", () => {
  for (const name of ["a b", "100%", "사진", "caf\udce9.txt", "q?#&+=", "!'()*", "🏔️", "\udcff\udc80x"]) {
    assert.equal(percentDecoded(percentEncoded(name)), name);
  }
  assert.equal(percentEncoded("caf\udce9.txt"), "caf%E9.txt");
  assert.equal(percentEncoded("a/b c", "/"), "a/b%20c");
});

test("types of problems are their tails", () => {
  assert.equal(tail("urn:pannier:problem:selection-refused"), "selection-refused");
  assert.equal(tail("https://api.backend.ai/probs/storage/file-not-found"), "storage/file-not-found");
});

test("a list for a spreadsheet holds no formula", () => {
  const text = csv([{ path: '=cmd|"x"', code: "missing", detail: "a, b" }]);
  assert.equal(text, '"path","code","detail"\r\n"\'=cmd|""x""","missing","a, b"\r\n');
});

test("the line for a terminal names what its URL cannot", () => {
  const link = { file_url: "http://h/s/c/x.zip", password: false };
  assert.equal(curl({ ...link, filename: "x-1.zip" }), "curl -O http://h/s/c/x.zip");
  assert.equal(curl({ ...link, filename: "it's.zip" }), "curl -o 'it'\\''s.zip' http://h/s/c/x.zip");
  assert.equal(curl({ ...link, filename: "사진.zip", password: true }), "curl -o '사진.zip' -u :PASSWORD http://h/s/c/x.zip");
});
