// A sentence as plain text, for names of controls, voices and titles.

import { visible } from "./names.js";

/** Say `key`; its holes take what views put into them: {size}, {time}, {until}, {name}, numbers, texts. */
export function plain(words, key, values = {}) {
  const { numbers } = words;
  const text = (value) => {
    if (value === null || typeof value !== "object") return value;
    if ("size" in value) return numbers.size(value.size);
    if ("time" in value) return numbers.time(value.time);
    if ("until" in value) return numbers.until(value.until);
    return "name" in value ? visible(value.name) : value;
  };
  return words.say(key, Object.fromEntries(Object.entries(values).map(([hole, value]) => [hole, text(value)])));
}
