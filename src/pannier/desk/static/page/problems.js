// Which sentence stands for a problem of the server. Pure.

/** Types of the server that are told by another one's sentence. */
const ALIKE = {
  "session-revoked": "revoked",
  "link-revoked": "revoked",
  "session-spent": "link-spent",
  "selection-empty": "storage/file-not-found",
  "storage-full": "no-space",
  "quota-exceeded": "no-space",
  "target-exists": "name-exists",
  "operation-refused": "storage/forbidden",
  "upload-checksum-mismatch": "upload-checksum",
  "storage/invalid-api-params": "invalid",
  "generic-bad-request": "invalid",
  "range-not-satisfiable": "selection-changed",
  "precondition-failed": "selection-changed",
  "resume-unverified": "selection-changed",
  "storage/tus-lease-lost": "storage/tus-lease-held",
  "method-not-allowed": "not-found",
  "streams-exhausted": "too-many-requests",
  draining: "unavailable",
};

/** A file that is larger than may be uploaded: "12.0 GiB is over the limit of 10 GiB". */
export function tooLarge(problem, size) {
  const limit = problem.document?.limit;
  if (problem.type !== "limit-exceeded" || typeof limit !== "number" || size <= limit) return null;
  return { key: "error.too-large", values: { size: { size }, limit: { size: limit } } };
}

/** The key of words for a problem, and what fills its holes. `known(key)` tells whether there are words. */
export function sentence(problem, known) {
  if (problem.status === undefined) return { key: "error.unreachable", values: {} };
  const type = ALIKE[problem.type] ?? problem.type;
  const values = holes(problem);
  for (const key of [`error.${type}`, problem.status === 429 ? "error.too-many-requests" : null,
    problem.status === 503 ? "error.unavailable" : null, problem.status === 404 ? "error.not-found" : null]) {
    if (key !== null && known(key)) return { key, values };
  }
  return { key: "error.storage/generic", values };
}

function holes(problem) {
  const { document = {} } = problem;
  const path = document.path ?? document.paths?.[0] ?? document.name ?? problem.name ?? "";
  return {
    name: { name: String(path) },
    field: document.field ?? document.detail ?? "",
    n: document.offenders?.total ?? document.total ?? document.n ?? 0,
    m: document.entries ?? document.m ?? 0,
    what: document.what ?? document.limit_of ?? problem.message,
    measured: text(document.measured),
    limit: text(document.limit),
    setting: document.setting ?? "",
    size: document.needed === undefined ? "?" : { size: document.needed },
    free: document.free === undefined ? "?" : { size: document.free },
    s: problem.retryAfter ?? 5,
    p: document.percent ?? 0,
    list: (document.formats ?? []).join(", "),
    a: document.offset === undefined ? "" : { size: document.offset },
    time: document.at === undefined ? "" : { until: Date.parse(document.at) },
  };
}

function text(value) {
  return value === undefined || value === null ? "" : typeof value === "number" ? value : String(value);
}

/** Words for why an entry cannot be part of an archive; the server's code stands where there are none. */
export function refusal(code, known) {
  const key = `why.${code}`;
  return known(key) ? key : "why.other";
}
