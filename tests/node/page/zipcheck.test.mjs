import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { crc32 } from "../../../src/pannier/desk/static/page/crc.js";
import { Damaged, ZipCheck } from "../../../src/pannier/desk/static/page/zipcheck.js";

// archives of Python's zipfile: a name that is not ASCII, an empty file, an entry with Zip64 sizes
const PYTHON = `
import io, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w", int(sys.argv[1])) as archive:
    archive.writestr("a.txt", b"a" * 70000)
    archive.writestr("empty", b"")
    archive.writestr("dir/", b"")
    with archive.open(zipfile.ZipInfo("사진.jpg"), "w", force_zip64=True) as entry:
        entry.write(bytes(range(256)) * 33)
    archive.comment = b"the end"
sys.stdout.buffer.write(out.getvalue())
`;
const archive = (method) => new Uint8Array(execFileSync("python3", ["-c", PYTHON, String(method)], { maxBuffer: 2 ** 24 }));
const STORED = archive(0);

function check(bytes, piece = 1000) {
  const it = new ZipCheck();
  for (let at = 0; at < bytes.length; at += piece) it.push(bytes.subarray(at, at + piece));
  it.end();
  return it;
}

/** The same archive with the descriptor that ours has behind an entry whose CRC-32 is known late. */
function late(bytes, name) {
  const view = new DataView(bytes.buffer);
  const at = Buffer.from(bytes).indexOf(name) - 30;
  const [named, extra] = [view.getUint16(at + 26, true), view.getUint16(at + 28, true)];
  const size = view.getUint32(at + 22, true);
  const end = at + 30 + named + extra + size;
  const descriptor = new DataView(new ArrayBuffer(24));
  descriptor.setUint32(0, 0x08074b50, true);
  descriptor.setUint32(4, view.getUint32(at + 14, true), true);
  descriptor.setBigUint64(8, BigInt(size), true);
  descriptor.setBigUint64(16, BigInt(size), true);
  const out = new Uint8Array([...bytes.subarray(0, end), ...new Uint8Array(descriptor.buffer), ...bytes.subarray(end)]);
  const written = new DataView(out.buffer);
  written.setUint16(at + 6, view.getUint16(at + 6, true) | 8, true);
  written.setUint32(at + 14, 0, true);
  return out;
}

test("the CRC-32 is the one of ZIP, in any pieces", () => {
  const text = new TextEncoder().encode("123456789");
  assert.equal(crc32(text), 0xcbf43926); // the check value of every catalogue
  assert.equal(crc32(text.subarray(4), crc32(text.subarray(0, 4))), 0xcbf43926);
  assert.equal(crc32(new Uint8Array(0)), 0);
});

test("a whole archive is checked to its end, in pieces of any size", () => {
  for (const piece of [1, 7, 4096, STORED.length]) assert.equal(check(STORED, piece).entries, 4);
  assert.equal(check(late(STORED, "a.txt")).entries, 4);
});

test("whatever is damaged is seen", () => {
  for (const at of [40, 69_000, STORED.length - 400]) {
    const bad = Uint8Array.from(STORED);
    bad[at] ^= 1;
    assert.throws(() => check(bad), Damaged, String(at));
  }
  const directory = Buffer.from(STORED).lastIndexOf("PK\u0001\u0002");
  const bad = Uint8Array.from(STORED);
  bad[directory + 16] ^= 1; // a CRC-32 in the directory
  assert.throws(() => check(bad), Damaged);
  for (const length of [0, 100, directory, STORED.length - 1]) assert.throws(() => check(STORED.subarray(0, length)), Damaged);
  assert.throws(() => check(new Uint8Array([...STORED, 0])), Damaged);
  const twice = late(STORED, "a.txt");
  twice[Buffer.from(twice).indexOf("PK\u0007\u0008") + 4] ^= 1;
  assert.throws(() => check(twice), (error) => error.name_ === "a.txt");
});

test("what is packed is not taken for checked", () => {
  assert.throws(() => check(archive(8)), Damaged);
});
