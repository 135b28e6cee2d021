// A stored ZIP, checked as it passes by: what each entry holds against the CRC-32 that stands beside it, and the
// directory at the end against both (APPNOTE 6.3.10, sections 4.3 and 4.5.3). Pure; keeps 4 bytes for each entry.

import { crc32 } from "./crc.js";

const LOCAL = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const CENTRAL = 0x02014b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const END = 0x06054b50;
const LONGEST = 46 + 3 * 0xffff;
const IN_EXTRA = 0xffffffff;

/** What arrived is not what the archive says; `name` is the entry, null where it is the archive itself. */
export class Damaged extends Error {
  constructor(what, name = null) {
    super(what);
    this.name_ = name;
  }
}

export class ZipCheck {
  entries = 0; // of which the content agreed
  whole = false; // whether the end of the archive was seen
  #record = new Uint8Array(LONGEST);
  #view = new DataView(this.#record.buffer);
  #have = 0; // bytes of the record that is being gathered
  #need = 4; // and how many it is known to have
  #left = 0; // bytes of content that are still to come
  #crc = 0;
  #entry = null; // {name, crc, late}
  #late = false; // whether a descriptor is next
  #crcs = [];
  #listed = 0; // records of the directory

  /** Take the next bytes of the archive; throws Damaged. */
  push(bytes) {
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        this.#crc = crc32(bytes.subarray(at, end), this.#crc);
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#contentEnds();
        continue;
      }
      if (this.whole) throw new Damaged("bytes behind the end");
      const end = Math.min(bytes.length, at + this.#need - this.#have);
      this.#record.set(bytes.subarray(at, end), this.#have);
      this.#have += end - at;
      at = end;
      if (this.#have === this.#need) this.#gathered();
    }
  }

  /** Nothing more comes; throws Damaged where something is missing. */
  end() {
    if (!this.whole) throw new Damaged("the end is missing");
  }

  #u16(at) {
    return this.#view.getUint16(at, true);
  }

  #u32(at) {
    return this.#view.getUint32(at, true);
  }

  #u64(at) {
    return Number(this.#view.getBigUint64(at, true));
  }

  /** Has the record more bytes, once its first ones say so? */
  #wants(length) {
    if (this.#have >= length) return false;
    this.#need = length;
    return true;
  }

  #gathered() {
    const kind = this.#u32(0);
    if (this.#late !== (kind === DESCRIPTOR)) throw new Damaged("a record out of its place", this.#entry?.name);
    switch (kind) {
      case LOCAL:
        if (this.#wants(30) || this.#wants(30 + this.#u16(26) + this.#u16(28))) return;
        this.#next();
        return this.#local();
      case DESCRIPTOR: // of ours, the one with 64-bit sizes
        if (this.#wants(24)) return;
        this.#next();
        this.#late = false;
        return this.#compare(this.#u32(4));
      case CENTRAL:
        if (this.#wants(46) || this.#wants(46 + this.#u16(28) + this.#u16(30) + this.#u16(32))) return;
        this.#next();
        if (this.#crcs[this.#listed] !== this.#u32(16)) throw new Damaged("another CRC-32 in the directory", this.#name(46, this.#u16(28)));
        this.#listed += 1;
        return;
      case END_64:
        if (this.#wants(12) || this.#wants(12 + this.#u64(4))) return;
        return this.#next();
      case LOCATOR_64:
        if (this.#wants(20)) return;
        return this.#next();
      case END:
        if (this.#wants(22) || this.#wants(22 + this.#u16(20))) return;
        this.#next();
        if (this.#listed !== this.#crcs.length) throw new Damaged("entries that the directory does not list");
        this.whole = true;
        return;
      default:
        throw new Damaged("no record of a ZIP", this.#entry?.name);
    }
  }

  #next() {
    this.#have = 0;
    this.#need = 4;
  }

  #name(at, length) {
    return new TextDecoder().decode(this.#record.subarray(at, at + length));
  }

  #local() {
    const [flags, method, crc, named] = [this.#u16(6), this.#u16(8), this.#u32(14), this.#u16(26)];
    const name = this.#name(30, named);
    if (method !== 0 || this.#listed > 0) throw new Damaged("an entry that is not stored", name);
    let size = this.#u32(22);
    if (size === IN_EXTRA) size = this.#zip64(30 + named, this.#u16(28), name);
    this.#entry = { name, crc, late: (flags & 8) !== 0 };
    this.#crc = 0;
    this.#left = size;
    if (size === 0) this.#contentEnds();
  }

  #zip64(from, length, name) {
    for (let at = from; at + 4 <= from + length; at += 4 + this.#u16(at + 2)) if (this.#u16(at) === 1) return this.#u64(at + 4);
    throw new Damaged("a size that is missing", name);
  }

  #contentEnds() {
    if (this.#entry.late) this.#late = true;
    else this.#compare(this.#entry.crc);
  }

  #compare(crc) {
    if (this.#crc !== crc) throw new Damaged("another CRC-32", this.#entry.name);
    this.#crcs.push(crc);
    this.entries += 1;
  }
}
