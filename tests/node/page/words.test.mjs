import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { Numbers } from "../../../src/pannier/desk/static/page/numbers.js";
import { refusal, sentence } from "../../../src/pannier/desk/static/page/problems.js";
import { Words, holes } from "../../../src/pannier/desk/static/page/words.js";

const PAGE = new URL("../../../src/pannier/desk/static/page/", import.meta.url);
const table = (language) => JSON.parse(readFileSync(new URL(`${language}.json`, PAGE), "utf8"));
const en = table("en");
const ko = table("ko");

test("both languages have the same keys and holes", () => {
  assert.deepEqual(Object.keys(en).sort(), Object.keys(ko).sort());
  for (const key of Object.keys(en)) assert.deepEqual([...holes(en[key])].sort(), [...holes(ko[key])].sort(), key);
});

test("every key that the page says has words", () => {
  const sources = ["", "view/"].flatMap((folder) =>
    readdirSync(new URL(folder, PAGE)).filter((name) => name.endsWith(".js")).map((name) => readFileSync(new URL(folder + name, PAGE), "utf8")));
  const said = new Set();
  for (const source of sources) {
    for (const [, key] of source.matchAll(/(?:say\(|of=|tell\(|plain\(words, |desk\.plain\()"([a-z][\w./-]+)"/gu)) said.add(key);
    for (const [, key] of source.matchAll(/"((?:act|bar|plan|list|activity|upload|links|share|place|keys|format|done|forever|revoke|request|requests|trash|theme|state)\.[\w.-]+)"/gu)) said.add(key);
  }
  assert.ok(said.size > 150);
  for (const key of said) assert.ok(Object.hasOwn(en, key), key);
});

test("sentences keep to the rules of both languages", () => {
  const sentences = (row) => (typeof row === "string" ? [row] : [row.one, row.other]);
  for (const [key, row] of Object.entries(en)) {
    for (const text of sentences(row)) assert.ok(!/\b(please|sorry|oops)\b|!|—/iu.test(text), `${key}: ${text}`);
  }
  for (const [key, row] of Object.entries(ko)) {
    for (const text of sentences(row)) {
      assert.ok(!/당신|되어지|습니다|—/u.test(text), `${key}: ${text}`);
      // no particle that changes with the sound before it, right after what fills a hole
      assert.ok(!/\{[a-z]+\}(?:을|를|이|가|은|는|으로|로|과|와|이에요|예요)(?![가-힣])/u.test(text), `${key}: ${text}`);
    }
  }
});

test("numbers choose the form of a sentence, and are put in as the language writes them", () => {
  const words = new Words(en, new Numbers("en"));
  assert.equal(words.say("list.entries", { n: 1 }), "1 entry here");
  assert.equal(words.say("list.entries", { n: 100_000 }), "100,000 entries here");
  assert.deepEqual(words.pieces("upload.drop", { folder: "x" }), ["Drop to upload to ", "x"]);
  assert.throws(() => words.say("no.such"));
});

test("each problem of the front desk has a sentence of its own", () => {
  const types = [
    "storage/invalid-api-params", "generic-bad-request", "storage/volume/invalid", "storage/vfolder/not-found", "storage/file-not-found",
    "storage/subpath/invalid", "storage/unsupported-file-type", "selection-refused", "source-changed", "source-unreadable", "limit-exceeded",
    "quota-exceeded", "storage-full", "jwt-expired", "jwt-decode-error", "session-revoked", "session-spent", "link-expired", "link-spent", "link-revoked",
    "link-not-found", "password-wrong", "password-locked", "request-closed", "key-used", "signed-out", "cross-site", "storage/forbidden",
    "read-only", "name-exists", "name-invalid", "move-into-itself", "trash-not-found", "storage/tus-session-not-found",
    "storage/upload-offset-mismatch", "storage/tus-lease-held", "storage/tus-lease-lost", "upload-checksum-mismatch", "selection-changed",
    "resume-unverified", "checksums-pending", "target-exists", "operation-refused", "unavailable",
  ];
  for (const type of types) {
    const { key } = sentence({ type, status: 400, document: {} }, (candidate) => Object.hasOwn(en, candidate));
    assert.notEqual(key, "error.storage/generic", type);
  }
  const unknown = sentence({ type: "never-heard-of", status: 500, document: {} }, (key) => Object.hasOwn(en, key));
  assert.equal(unknown.key, "error.storage/generic");
  assert.equal(refusal("missing", (key) => Object.hasOwn(en, key)), "why.missing");
});
