import assert from "node:assert/strict";
import { test } from "node:test";
import { Numbers, Pace, percent } from "../../../src/pannier/desk/static/page/numbers.js";

const en = new Numbers("en", "UTC");
const ko = new Numbers("ko", "Asia/Seoul");
const spaced = (text) => text.replaceAll("\u00a0", " ");

test("sizes have three significant digits, and bytes below 1,024", () => {
  const cases = [
    [0, "0 bytes"], [1, "1 byte"], [911, "911 bytes"], [1023, "1,023 bytes"], [1024, "1.00 KiB"], [2212, "2.16 KiB"],
    [43_201_331, "41.2 MiB"], [851_443_712, "812 MiB"], [3_116_457_222, "2.90 GiB"], [1_048_575, "1.00 MiB"],
    [10 * 1024 - 1, "10.0 KiB"], [1_037_312, "1,013 KiB"], [2 ** 40 * 5, "5.00 TiB"],
  ];
  for (const [bytes, text] of cases) assert.equal(spaced(en.size(bytes)), text);
  assert.equal(ko.size(911), "911바이트");
});

test("a voice says units in full", () => {
  assert.equal(spaced(en.spoken(2212)), "2.16 kibibytes");
  assert.equal(ko.spoken(2212), "2.16키비바이트");
});

test("percentages are cut: 100 is the last byte alone", () => {
  assert.equal(percent(999_999, 1_000_000), 99.9);
  assert.equal(percent(1_000_000, 1_000_000), 100);
  assert.equal(percent(0, 0), 100);
  assert.equal(spaced(en.percent(412, 1000)), "41.2 %");
});

test("durations are rough", () => {
  const cases = [[0.2, "1 s"], [8, "8 s"], [17, "20 s"], [54, "55 s"], [58, "1 min"], [240, "4 min"], [7830, "2 h 10 min"], [6 * 86400, "6 days"]];
  for (const [seconds, text] of cases) assert.equal(spaced(en.duration(seconds)), text);
  assert.equal(ko.duration(7830), "2시간 10분");
});

test("dates say as much as is needed", () => {
  const now = Date.UTC(2026, 10, 22, 14, 5);
  assert.equal(en.date(Date.UTC(2026, 10, 22, 9, 2), now), "09:02");
  assert.equal(en.date(Date.UTC(2026, 10, 21, 18, 20), now), "Nov 21, 18:20");
  assert.equal(en.date(Date.UTC(2025, 0, 9, 1, 1), now), "Jan 9, 2025");
  assert.equal(ko.date(Date.UTC(2026, 10, 21, 9, 20), now), "11월 21일 18:20");
});

test("a time left keeps silent for three seconds, and while it swings", () => {
  const pace = new Pace();
  for (let second = 0; second <= 4; second += 1) pace.mark(second, second * 1000);
  assert.equal(pace.left(10_000, 2), null);
  assert.equal(pace.left(10_000, 4), 10);
  assert.equal(pace.rate, 1000);
  assert.equal(pace.left(40_000, 4), null);
  assert.equal(pace.left(40_000, 5), 40);
});
