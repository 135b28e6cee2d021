// The one worker of the page. Trusted types ask for a policy where a script is named; this one lets just that through.

const ARRANGER = new URL("./arranger.js", import.meta.url).href;

const policy = globalThis.trustedTypes?.createPolicy("pannier-worker", {
  createScriptURL(url) {
    if (url !== ARRANGER) throw new TypeError("no such worker");
    return url;
  },
});

/** A worker that keeps the columns of a listing. */
export function arranger() {
  return new Worker(policy === undefined ? ARRANGER : policy.createScriptURL(ARRANGER), { type: "module" });
}
