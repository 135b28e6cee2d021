import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../../../src/pannier/desk/static/page/tokens.css", import.meta.url), "utf8");
const colours = Object.fromEntries(
  Array.from(css.matchAll(/--([a-z-]+): light-dark\((#[0-9A-F]{6}), (#[0-9A-F]{6})\)/giu), ([, name, light, dark]) => [name, [light, dark]]),
);

/** WCAG 2.2, relative luminance and contrast ratio. */
function luminance(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a, b) {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

// text needs 4.5, what must be seen 3; the guide's table says what each pair has
const PAIRS = [
  ["text", "bg", 4.5, [16.3, 15.6]], ["text", "surface", 4.5, [17.4, 14.5]], ["text", "accent-soft", 4.5, [14.9, 11.1]],
  ["muted", "bg", 4.5, [6.5, 8.1]], ["muted", "sunken", 4.5, [6.0, 8.5]], ["muted", "accent-soft", 4.5, [5.9, 5.8]],
  ["accent-text", "surface", 4.5, [7.9, 9.5]], ["accent-text", "accent-soft", 4.5, [6.8, 7.3]],
  ["on-accent", "accent", 4.5, [6.4, 7.7]], ["on-accent", "accent-hover", 4.5, [8.5, 9.4]],
  ["ok", "ok-soft", 4.5, [5.7, 7.1]], ["warn", "warn-soft", 4.5, [6.3, 7.7]], ["bad", "bad-soft", 4.5, [6.1, 7.1]],
  ["on-bad", "bad", 4.5, [7.3, 8.5]], ["focus", "surface", 3, [6.7, 8.3]], ["focus", "accent-soft", 3, [5.7, 6.4]],
  ["edge", "surface", 3, [4.2, 4.8]], ["accent", "track", 3, [4.5, 4.8]], ["warn", "track", 3, [4.9, 5.7]],
];
for (const [front, back, least, told] of PAIRS) {
  test(`contrast of ${front} on ${back}`, () => {
    for (const theme of [0, 1]) {
      const ratio = contrast(colours[front][theme], colours[back][theme]);
      assert.ok(ratio >= least, `${ratio}`);
      assert.ok(Math.abs(ratio - told[theme]) < 0.11, `${ratio}, and ${told[theme]} is told`);
    }
  });
}
