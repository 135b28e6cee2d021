// The server, as the page asks it: JSON, the CSRF header, problems as errors, and whether it can be reached.

/** What the server answered instead: RFC 9457's members, and `retryAfter` in seconds. */
export class Problem extends Error {
  constructor(document, status, retryAfter = null) {
    super(document.title ?? document.msg ?? String(status));
    this.status = status;
    this.type = tail(document.type ?? "");
    this.detail = document.detail ?? document.msg ?? null;
    this.request = document.request ?? null;
    this.retryAfter = retryAfter;
    this.document = document;
  }
}

/** Nothing came back at all. */
export class Unreachable extends Error {}

/** The name of a problem's type: its URI without what stands before it. */
export function tail(uri) {
  return uri.replace(/^(urn:pannier:problem:|https?:\/\/[^/]+\/probs\/|about:blank$)/u, "");
}

export class Server {
  csrf;
  #heard;

  /** `heard(event)` is called with "online", "offline" or "signed-out" after each answer. */
  constructor(csrf, heard = () => {}) {
    this.csrf = csrf;
    this.#heard = heard;
  }

  get(path, query = {}, options = {}) {
    return this.#ask("GET", withQuery(path, query), undefined, options);
  }

  post(path, body, options = {}) {
    return this.#ask("POST", path, body ?? {}, options);
  }

  delete(path, options = {}) {
    return this.#ask("DELETE", path, undefined, options);
  }

  /** A response whose body is read by the caller; of a `quiet` one only its failing is heard. */
  async raw(method, url, body, { signal, headers, quiet = false } = {}) {
    let response;
    try {
      response = await fetch(url, {
        method,
        signal,
        credentials: "same-origin",
        cache: "no-store",
        headers: {
          Accept: "application/json",
          "X-Pannier-CSRF": this.csrf,
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.#heard("offline");
      throw new Unreachable(url, { cause: error });
    }
    if (!quiet) this.#heard(response.status === 401 ? "signed-out" : "online");
    if (!response.ok) throw await problem(response);
    return response;
  }

  /** The problem that a stream of lines ended with. */
  told(document) {
    return new Problem(document ?? { title: "the answer ended early" }, document?.status ?? 500);
  }

  async #ask(method, url, body, options) {
    const response = await this.raw(method, url, body, options);
    return response.status === 204 ? null : response.json();
  }
}

/** What a response refuses with, as an error. */
export async function problem(response) {
  const document = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After"));
  return new Problem(
    { request: response.headers.get("X-Request-Id"), ...document },
    response.status,
    Number.isFinite(wait) && wait > 0 ? wait : null,
  );
}

function withQuery(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  if (given.length === 0) return path;
  return `${path}?${given.map(([key, value]) => `${key}=${percentEncoded(String(value))}`).join("&")}`;
}

/** Each byte that is not unreserved as %XX; lone surrogates U+DC80 to U+DCFF are undecodable bytes of a name. */
export function percentEncoded(text, kept = "") {
  let out = "";
  for (const character of text) {
    const code = character.codePointAt(0);
    if (kept.includes(character)) out += character;
    else if (code >= 0xdc80 && code <= 0xdcff) out += `%${(code - 0xdc00).toString(16).toUpperCase()}`;
    else if (code >= 0xd800 && code <= 0xdfff) out += "%EF%BF%BD";
    else out += encodeURIComponent(character).replace(/[!'()*]/gu, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  }
  return out;
}

/** What `percentEncoded` made, as text again. */
export function percentDecoded(text) {
  const bytes = [];
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "%" && /^[0-9a-f]{2}$/iu.test(text.slice(at + 1, at + 3))) {
      bytes.push(Number.parseInt(text.slice(at + 1, at + 3), 16));
      at += 2;
    } else bytes.push(...new TextEncoder().encode(text[at]));
  }
  return escaped(Uint8Array.from(bytes));
}

// UTF-8 as text; a byte that is none becomes a lone surrogate, as the server writes it.
function escaped(bytes) {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at];
    const length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
    try {
      if (length === 0) throw new TypeError("no lead byte");
      out += strict.decode(bytes.subarray(at, at + length));
      at += length;
    } catch {
      out += String.fromCharCode(0xdc00 + lead);
      at += 1;
    }
  }
  return out;
}

/** The documents of an NDJSON body, one at a time as they arrive. */
export async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      rest += value;
      const parts = rest.split("\n");
      rest = parts.pop();
      for (const part of parts) if (part.trim() !== "") yield JSON.parse(part);
    }
    if (rest.trim() !== "") yield JSON.parse(rest);
  } finally {
    reader.cancel().catch(() => {});
  }
}
