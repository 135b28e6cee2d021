// The preview of one file: an image, the first of a text, or its facts.

import { visible } from "../names.js";
import { html, useDesk, useEffect, useState } from "./html.js";
import { Button, Icon, Name, Say, Size, Time } from "./parts.js";
import { Panel } from "./panel.js";
import { Trouble } from "./trouble.js";

export function Preview() {
  const { desk, words } = useDesk();
  const entry = desk.previewed;
  const address = desk.api.preview(desk.folder.id, entry.path);
  const [shown, show] = useState({ kind: "asking" });
  useEffect(() => {
    const leaving = new AbortController();
    let url = null;
    show({ kind: "asking" });
    look(address, leaving.signal).then(
      (found) => {
        url = found.url ?? null;
        show(found);
      },
      (error) => leaving.signal.aborted || show({ kind: "error", error }),
    );
    return () => {
      leaving.abort();
      if (url !== null) URL.revokeObjectURL(url);
    };
  }, [address]);
  return html`<${Panel} wide label=${visible(entry.name)} title=${html`<${Name} name=${entry.name} cut />`}
    actions=${html`<${Button} kind="quiet" icon="down" onPress=${() => desk.downloadFile(entry)}>${words.say("act.download-file")}<//>`}>
    <div class="preview-body">
      <p class="muted"><${Size} bytes=${Math.max(0, entry.size)} /> · <${Time} at=${entry.time} /></p>
      ${body(shown, entry, words, address)}
    </div>
  <//>`;
}

function body(shown, entry, words, address) {
  switch (shown.kind) {
    case "asking":
      return null;
    case "image":
      return html`<img src=${address} alt=${entry.name} />`;
    case "text":
      return html`${shown.whole > shown.shown
          ? html`<p class="muted"><${Say} of="preview.first" with=${{ a: { size: shown.shown }, b: { size: shown.whole } }} /></p>`
          : null}<pre tabindex="0" translate="no">${shown.text}</pre>`;
    case "none":
      return html`<div class="place-of-list"><${Icon} name="file" /><p>${words.say("preview.none")}</p></div>`;
    default:
      return html`<${Trouble} problem=${shown.error} />`;
  }
}

/** What the server takes the file for. */
async function look(address, signal) {
  const response = await fetch(address, { signal, credentials: "same-origin" });
  const type = response.headers.get("Content-Type") ?? "";
  if (response.status === 415) return { kind: "none" };
  if (!response.ok) {
    const document = await response.json().catch(() => ({}));
    throw Object.assign(new Error("no preview"), { status: response.status, type: (document.type ?? "").replace(/^.*:/u, ""), document });
  }
  if (type.startsWith("image/")) {
    await response.body?.cancel();
    return { kind: "image" };
  }
  const text = await response.text();
  const shown = new TextEncoder().encode(text).length;
  return { kind: "text", text, shown, whole: Number(response.headers.get("X-Pannier-Size") ?? shown) };
}
