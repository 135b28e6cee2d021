// A side panel: beside the listing on a desktop, a view of its own on a phone. Not modal.

import { html, useDesk, useEffect, useRef } from "./html.js";
import { Button } from "./parts.js";

/** `label` is the title as text, where that is more than text. */
export function Panel({ title, label = title, tone = "", wide = false, children, actions }) {
  const { desk, words } = useDesk();
  const heading = useRef(null);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  const keys = (event) => {
    if (event.key !== "Escape" || event.target.closest("[role=menu], dialog")) return;
    event.stopPropagation();
    desk.hidePanel();
  };
  return html`<aside class=${`panel ${tone}${wide ? " wide" : ""}`} aria-label=${label} onKeyDown=${keys}>
    <div class="panel-head">
      <${Button} kind="quiet back" icon="up" onPress=${() => desk.hidePanel()}>${words.say("act.back")}<//>
      <h2 tabindex="-1" ref=${heading}>${title}</h2>
      <span class="space"></span>
      ${actions ?? null}
      <${Button} kind="quiet bare close" icon="close" label=${words.say("act.close")} onPress=${() => desk.hidePanel()} />
    </div>
    <div class="panel-body" tabindex="0">${children}</div>
  </aside>`;
}
