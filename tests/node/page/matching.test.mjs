import assert from "node:assert/strict";
import { test } from "node:test";
import { Columns, folded, matcher } from "../../../src/pannier/desk/static/page/matching.js";
import { drawn, extent, reveal, TALLEST, elements } from "../../../src/pannier/desk/static/page/rows.js";

test("the filter takes case and composition as equal, and Hangul by initial consonants", () => {
  const cases = [
    ["readme", "README.md", true], ["é", "cafe\u0301.txt", true], ["사진", "사진".normalize("NFD"), true],
    ["ㅅㅈ", "사진 1.jpg", true], ["ㅅ진", "사진", true], ["ㅅ정", "사진", false], ["ㅈㅅ", "사진", false], ["ㄱ", "abc", false],
    ["", "anything", true], ["x", "anything", false],
  ];
  for (const [query, name, matches] of cases) assert.equal(matcher(query)(folded(name)), matches, `${query} in ${name}`);
});

function columns() {
  const all = new Columns();
  all.push({ names: ["b10", "a", "b9", "Z", "dir"], directories: [0, 0, 0, 0, 1], sizes: [5, 9, 5, 1, 4096], times: [4, 3, 2, 1, 0] });
  return all;
}

const shown = (all, asked) =>
  Array.from(all.arrange({ query: "", key: "name", descending: false, language: "en", ...asked }), (row) => all.names[row]);

test("folders stand first, numbers count by value, equal rows keep the order of names", () => {
  assert.deepEqual(shown(columns(), {}), ["dir", "a", "b9", "b10", "Z"]);
  assert.deepEqual(shown(columns(), { descending: true }), ["dir", "Z", "b10", "b9", "a"]);
  assert.deepEqual(shown(columns(), { key: "size", descending: true }), ["dir", "a", "b9", "b10", "Z"]);
  assert.deepEqual(shown(columns(), { key: "modified" }), ["dir", "Z", "b9", "a", "b10"]);
  assert.deepEqual(shown(columns(), { query: "b" }), ["b9", "b10"]);
});

test("rows that come later are in their place", () => {
  const all = columns();
  shown(all, {});
  all.push({ names: ["aa"], directories: [0], sizes: [1], times: [1] });
  assert.deepEqual(shown(all, {}), ["dir", "a", "aa", "b9", "b10", "Z"]);
});

test("what is drawn covers the view, whatever the scroll position", () => {
  for (const [total, height, view] of [[10, 36, 600], [100_000, 36, 700], [1_000_000, 36, 700], [2_000_000, 56, 844]]) {
    const travel = extent(total, height) - view;
    for (const share of [0, 0.001, 0.5, 0.999, 1]) {
      const scroll = Math.max(0, travel * share);
      const { first, last, top } = drawn(scroll, view, total, height);
      assert.ok(first >= 0 && last <= total && last - first <= Math.ceil(view / height) + 42);
      if (total * height > view) {
        assert.ok(top <= scroll + 0.5 || first === 0, "the first row is above the view");
        assert.ok(top + (last - first) * height >= scroll + view - 0.5 || last === total, "the last is below it");
      }
    }
    const end = drawn(Math.max(0, travel), view, total, height);
    assert.equal(end.last, total);
    assert.ok(extent(total, height) <= TALLEST);
  }
});

test("a row comes into view with the least scrolling, also in a scaled list", () => {
  assert.equal(reveal(3, 0, 600, 100, 36), null);
  assert.equal(reveal(99, 0, 600, 100, 36), 3000);
  for (const row of [0, 77_777, 999_999]) {
    const scroll = reveal(row, 5_000_000, 700, 1_000_000, 36) ?? 5_000_000;
    const { first, last } = drawn(scroll, 700, 1_000_000, 36, 0);
    assert.ok(first <= row && row < last, `row ${row} in ${first} to ${last}`);
  }
});

test("a row keeps its element while it is drawn, and one that comes takes that of one that went", () => {
  let held = elements(new Map(), [0, 1, 2]);
  assert.deepEqual([...held], [[0, 0], [1, 1], [2, 2]]);
  held = elements(held, [1, 2, 3]);
  assert.deepEqual([...held], [[1, 1], [2, 2], [3, 0]]);
  held = elements(held, [50, 51, 52, 53, 2]); // a jump, one more in view, and the focused row stays
  assert.equal(held.get(2), 2);
  assert.deepEqual([...held.values()].toSorted(), [0, 1, 2, 3, 4]);
  held = elements(held, [7]);
  assert.equal(held.size, 1);
  for (let from = 0; from < 1000; from += 37) {
    held = elements(held, Array.from({ length: 59 }, (_, i) => from + i));
    assert.equal(new Set(held.values()).size, 59);
  }
  assert.ok(Math.max(...held.values()) < 59 + 5); // no more elements than rows were ever drawn at once
});
