// Filter and order of a listing; runs in a worker, and is pure.

const LEADS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"; // the initial consonants, in the order of the syllables
const FIRST = 0xac00;
const LAST = 0xd7a3;
const PER_LEAD = 588;

/** What names are compared by: composed, without case. */
export function folded(text) {
  return text.normalize("NFC").toLowerCase();
}

/** 한글 file is "ㅎㄱ file": each syllable by its initial consonant. */
export function leads(text) {
  let out = "";
  for (const character of text) {
    const code = character.charCodeAt(0);
    out += code >= FIRST && code <= LAST ? LEADS[Math.floor((code - FIRST) / PER_LEAD)] : character;
  }
  return out;
}

/** A test of folded names for what somebody typed. Initial consonants match the syllables that begin with them. */
export function matcher(query) {
  const wanted = folded(query);
  if (wanted === "") return () => true;
  if (!/[ㄱ-ㅎ]/u.test(wanted)) return (name) => name.includes(wanted);
  const letters = Array.from(wanted);
  // each typed consonant stands for itself or a syllable that begins with it; what else was typed stands for itself
  return (name) => {
    const initial = leads(name);
    for (let at = initial.indexOf(leads(wanted)); at >= 0; at = initial.indexOf(leads(wanted), at + 1)) {
      if (letters.every((letter, i) => LEADS.includes(letter) || name[at + i] === letter)) return true;
    }
    return false;
  };
}

/** The rows of a listing as parallel columns, which answers with row numbers in order. */
export class Columns {
  names = [];
  #folded = [];
  #directories = []; // 1 or 0
  #sizes = [];
  #times = [];
  #orders = new Map(); // by key, direction and language: all rows in order, until more rows come

  get length() {
    return this.names.length;
  }

  /** Take further rows, as columns of one length. */
  push({ names, directories, sizes, times }) {
    this.#orders.clear();
    for (let row = 0; row < names.length; row += 1) {
      this.names.push(names[row]);
      this.#folded.push(folded(names[row]));
      this.#directories.push(directories[row]);
      this.#sizes.push(sizes[row]);
      this.#times.push(times[row]);
    }
  }

  /** The rows that match, in order (a Uint32Array). `key` is name, size or modified. */
  arrange({ query, key, descending, language }) {
    const order = this.#order(key, descending, language);
    if (query === "") return order.slice();
    const matches = matcher(query);
    const texts = this.#folded;
    return order.filter((row) => matches(texts[row]));
  }

  // Folders stand first, in any order. Equal rows keep the order of their names.
  #order(key, descending, language) {
    const which = `${key} ${descending} ${language}`;
    let order = this.#orders.get(which);
    if (order !== undefined) return order;
    const directories = this.#directories;
    const folders = (a, b) => directories[b] - directories[a];
    const sign = descending ? -1 : 1;
    if (key === "name") {
      const { compare } = new Intl.Collator(language, { numeric: true });
      const names = this.names;
      const exact = (a, b) => (names[a] < names[b] ? -1 : names[a] > names[b] ? 1 : 0);
      order = Uint32Array.from(names.keys());
      order.sort((a, b) => folders(a, b) || sign * (compare(names[a], names[b]) || exact(a, b)));
    } else {
      const values = key === "size" ? this.#sizes : this.#times;
      order = this.#order("name", false, language).slice(); // the sort is stable
      order.sort((a, b) => folders(a, b) || sign * (values[a] - values[b]));
    }
    this.#orders.set(which, order);
    return order;
  }
}
