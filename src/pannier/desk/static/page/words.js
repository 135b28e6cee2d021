// The words of one language: sentences with holes, numbers put in as the language writes them.

/** One row of a table: a sentence, or {by, one, other}: which of two by the number in a hole. */

export class Words {
  #table;

  /** `table` maps keys to rows; `numbers` is of the same language. */
  constructor(table, numbers) {
    this.#table = table;
    this.numbers = numbers;
  }

  has(key) {
    return Object.hasOwn(this.#table, key);
  }

  /** The sentence as text. */
  say(key, values = {}) {
    return this.pieces(key, values).join("");
  }

  /** The sentence as pieces, so that what fills a hole may be an element (a name in its <bdi>). */
  pieces(key, values = {}) {
    const sentence = this.#sentence(key, values);
    return sentence
      .split(/(\{[a-z]+\})/u)
      .filter((piece) => piece !== "")
      .map((piece) => {
        if (!/^\{[a-z]+\}$/u.test(piece)) return piece;
        const value = values[piece.slice(1, -1)];
        return typeof value === "number" ? this.numbers.count(value) : (value ?? "");
      });
  }

  #sentence(key, values) {
    const row = this.#table[key];
    if (row === undefined) throw new Error(`no words for ${key}`);
    if (typeof row === "string") return row;
    return row[this.numbers.plural(values[row.by])] ?? row.other;
  }
}

/** The names of the holes of a row. */
export function holes(row) {
  const sentences = typeof row === "string" ? [row] : [row.one, row.other].filter((text) => text !== undefined);
  return new Set(sentences.flatMap((text) => Array.from(text.matchAll(/\{([a-z]+)\}/gu), (found) => found[1])));
}
