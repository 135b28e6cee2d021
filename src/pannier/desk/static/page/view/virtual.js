// A list in a panel: whole up to 200 items, above that only what is in view is drawn.

import { drawn, extent } from "../rows.js";
import { html, useLayoutEffect, useRef, useState } from "./html.js";

const WHOLE = 200;
const HEIGHT = { low: 32, tall: 52 };

export function VirtualList({ items, row, tall = false }) {
  const [scroll, set] = useState(0);
  const box = useRef(null);
  const height = tall ? HEIGHT.tall : HEIGHT.low;
  const all = items.length <= WHOLE;
  const view = box.current?.clientHeight || 320;
  const { first, last, top } = all ? { first: 0, last: items.length, top: 0 } : drawn(scroll, view, items.length, height);
  const inner = useRef(null);
  const shift = useRef(null);
  useLayoutEffect(() => {
    if (all) return;
    inner.current.style.height = `${extent(items.length, height)}px`;
    shift.current.style.transform = `translateY(${top}px)`;
  });
  const shown = items.slice(first, last).map((item) => html`<li class=${tall ? "tall" : ""}>${row(item)}</li>`);
  if (all) return html`<ul class="paths">${shown}</ul>`;
  return html`<div class="paths virtual" ref=${box} tabindex="0" onScroll=${(event) => set(event.currentTarget.scrollTop)}>
    <div ref=${inner}><ul ref=${shift}>${shown}</ul></div>
  </div>`;
}
