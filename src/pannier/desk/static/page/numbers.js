// Sizes, counts, rates, durations and dates as people read them, in one language and the reader's zone.

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const SPOKEN = {
  en: ["kibibytes", "mebibytes", "gibibytes", "tebibytes", "pebibytes", "exbibytes"],
  ko: ["키비바이트", "메비바이트", "기비바이트", "테비바이트", "페비바이트", "엑스비바이트"],
};
const NO_BREAK = "\u00a0";

/** Cut, never rounded up, to tenths of a percent: 100 means the last byte. */
export function percent(part, whole) {
  if (whole <= 0) return part >= whole ? 100 : 0;
  if (part >= whole) return 100;
  return Math.min(Math.floor((part / whole) * 1000) / 10, 99.9);
}

/** A size as [number, index of unit]; index -1 is bytes. Three significant digits, four where a unit has 1,000 to 1,023. */
function scaled(bytes) {
  if (bytes < 1024) return [bytes, -1, 0];
  let value = bytes;
  let unit = -1;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  let digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  const rounded = Number(value.toFixed(digits));
  if (rounded >= 1024 && unit < UNITS.length - 1) return [1, unit + 1, 2];
  digits = rounded < 10 ? 2 : rounded < 100 ? 1 : 0; // 9.996 is 10.0
  return [value, unit, digits];
}

export class Numbers {
  #plain;
  #plurals;
  #fixed;
  #dates = new Map();
  #now = null;

  /** `language` is "en" or "ko"; `zone` an IANA name, the reader's unless said. */
  constructor(language, zone = undefined) {
    this.language = language;
    this.zone = zone;
    this.#plain = new Intl.NumberFormat(language);
    this.#plurals = new Intl.PluralRules(language);
    this.#fixed = [0, 1, 2].map(
      (digits) => new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }),
    );
  }

  /** 1234 is "1,234". */
  count(n) {
    return this.#plain.format(n);
  }

  /** "one" or "other". */
  plural(n) {
    return this.#plurals.select(n);
  }

  /** 2212 is "2.16 KiB", 911 is "911 bytes". */
  size(bytes) {
    const [value, unit, digits] = scaled(bytes);
    if (unit < 0) return this.bytes(bytes);
    return this.#fixed[digits].format(value) + NO_BREAK + UNITS[unit];
  }

  /** Exact: "3,116,457,222 bytes". */
  bytes(n) {
    const text = this.count(n);
    if (this.language === "ko") return text + "바이트";
    return text + NO_BREAK + (n === 1 ? "byte" : "bytes");
  }

  /** For a voice: "2.16 kibibytes". */
  spoken(bytes) {
    const [value, unit, digits] = scaled(bytes);
    if (unit < 0) return this.bytes(bytes);
    const glue = this.language === "ko" ? "" : NO_BREAK;
    return this.#fixed[digits].format(value) + glue + SPOKEN[this.language][unit];
  }

  rate(bytesPerSecond) {
    return this.size(Math.round(bytesPerSecond)) + "/s";
  }

  /** "41.2 %", cut. */
  percent(part, whole) {
    const value = percent(part, whole);
    return this.#fixed[value === 100 ? 0 : 1].format(value) + NO_BREAK + "%";
  }

  /** A rough duration: "20 s" (by fives above ten), "4 min", "2 h 10 min". */
  duration(seconds) {
    const ko = this.language === "ko";
    const unit = (n, en, kr) => (ko ? `${this.count(n)}${kr}` : `${this.count(n)}${NO_BREAK}${en}`);
    if (seconds < 55) return unit(seconds <= 10 ? Math.max(1, Math.ceil(seconds)) : Math.ceil(seconds / 5) * 5, "s", "초");
    const minutes = Math.max(1, Math.round(seconds / 60));
    if (minutes < 60) return unit(minutes, "min", "분");
    if (minutes >= 48 * 60) return unit(Math.round(minutes / 1440), ko ? "일" : "days", "일");
    const rest = minutes % 60 >= 5 ? unit((minutes % 60) - ((minutes % 60) % 5), "min", "분") : "";
    return [unit(Math.floor(minutes / 60), "h", "시간"), rest].filter(Boolean).join(" ");
  }

  /** Today "14:02", this year "Nov 21, 18:20", else "Jan 9, 2025". Times are milliseconds. */
  date(at, now = Date.now()) {
    const [day, year] = this.#today(now);
    if (this.#day(at) === day) return this.time(at);
    if (this.#year(at) === year) {
      return this.#dated("near", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }).format(at);
    }
    return this.#dated("far", { year: "numeric", month: "short", day: "numeric" }).format(at);
  }

  /** "14:02". */
  time(at) {
    return this.#dated("time", { hour: "2-digit", minute: "2-digit" }).format(at);
  }

  /** A moment to come: the time alone where it is today, else with its day, and its year where it is another one. */
  until(at, now = Date.now()) {
    if (this.#year(at) === this.#year(now)) return this.date(at, now);
    return this.#dated("until", {
      year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
    }).format(at);
  }

  /** With seconds and zone, for hover and focus. */
  exactDate(at) {
    return this.#dated("exact", {
      year: "numeric", month: "short", day: "numeric",
      hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
    }).format(at);
  }

  #dated(key, options) {
    let format = this.#dates.get(key);
    if (format === undefined) {
      format = new Intl.DateTimeFormat(this.language, { ...options, hourCycle: "h23", timeZone: this.zone });
      this.#dates.set(key, format);
    }
    return format;
  }

  // What day and year it is, worked out once a minute: a listing asks for each of its rows.
  #today(now) {
    const minute = Math.floor(now / 60_000);
    if (this.#now?.minute !== minute) this.#now = { minute, said: [this.#day(now), this.#year(now)] };
    return this.#now.said;
  }

  #day(at) {
    return this.#dated("day", { year: "numeric", month: "numeric", day: "numeric" }).format(at);
  }

  #year(at) {
    return this.#dated("year", { year: "numeric" }).format(at);
  }
}

/** The mean speed of the last five seconds, and a time left that keeps silent while it is a guess. */
export class Pace {
  #marks = []; // [seconds, bytes]
  #last = null;

  /** Note that `bytes` were through at `seconds`. */
  mark(seconds, bytes) {
    this.#marks.push([seconds, bytes]);
    while (this.#marks.length > 2 && this.#marks[1][0] <= seconds - 5) this.#marks.shift();
  }

  /** Bytes a second; 0 without two marks. */
  get rate() {
    if (this.#marks.length < 2) return 0;
    const [first, last] = [this.#marks[0], this.#marks.at(-1)];
    return last[0] > first[0] ? Math.max(0, (last[1] - first[1]) / (last[0] - first[0])) : 0;
  }

  /** Seconds to go, or null: in the first three seconds, and while it swings by over half. */
  left(bytes, running) {
    const rate = this.rate;
    const estimate = rate > 0 ? bytes / rate : null;
    const before = this.#last;
    this.#last = estimate;
    if (estimate === null || running < 3) return null;
    if (before !== null && (estimate > before * 1.5 || estimate < before * 0.5)) return null;
    return estimate;
  }
}
