// Reads an archive with yauzl. Arguments: archive [member]. One JSON line a member.
import { createHash } from "node:crypto";
import { promisify } from "node:util";
import zlib from "node:zlib";
import yauzl from "yauzl";

const [, , archive, wanted] = process.argv;

// Node has crc32 since 20.15; a table serves the older ones.
const table = new Uint32Array(256).map((_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});
function crc32ByTable(data, crc) {
  crc = ~crc;
  for (const byte of data) crc = table[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
const crc32 = zlib.crc32 ?? crc32ByTable;

/** The modification time of the "UT" extra field (0x5455), in whole Unix seconds; null without one. */
function mtimeOf(entry) {
  const field = entry.extraFields.find(({ id }) => id === 0x5455);
  return field && field.data[0] & 1 ? field.data.readInt32LE(1) : null;
}

async function lineOf(zip, entry) {
  const sha256 = createHash("sha256");
  let crc = 0;
  let size = 0;
  for await (const chunk of await promisify(zip.openReadStream.bind(zip))(entry)) {
    sha256.update(chunk);
    crc = crc32(chunk, crc);
    size += chunk.length;
  }
  if (size !== entry.uncompressedSize) throw new Error(`size of ${entry.fileName} is ${size}`);
  if (crc !== entry.crc32) throw new Error(`CRC-32 of ${entry.fileName} differs from its header`);
  const unix = entry.versionMadeBy >>> 8 === 3;
  const mode = unix ? entry.externalFileAttributes >>> 16 : null;
  return { name: entry.fileName, size, sha256: sha256.digest("hex"), mtime: mtimeOf(entry), mode };
}

const options = { lazyEntries: true, autoClose: false, validateEntrySizes: true, strictFileNames: true, decodeStrings: true };
const zip = await promisify(yauzl.open)(archive, options);
let found = wanted === undefined;
await new Promise((resolve, reject) => {
  zip.on("error", reject);
  zip.on("end", resolve);
  zip.on("entry", (entry) => {
    if (wanted !== undefined && wanted !== entry.fileName) return zip.readEntry();
    found = true;
    lineOf(zip, entry).then((line) => {
      console.log(JSON.stringify(line));
      zip.readEntry();
    }, reject);
  });
  zip.readEntry();
});
zip.close();
if (!found) throw new Error(`no such member: ${wanted}`);
