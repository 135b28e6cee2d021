// The keys of the listing.

import { html, useDesk } from "./html.js";
import { Panel } from "./panel.js";

const KEYS = [
  [["↑", "↓", "PgUp", "PgDn", "Home", "End"], "keys.move"],
  [["Space"], "keys.toggle"],
  [["Shift", "↑↓"], "keys.extend"],
  [["Ctrl/⌘", "A"], "keys.all"],
  [["U"], "keys.clear"],
  [["Enter"], "keys.open"],
  [["←", "→"], "keys.cells"],
  [["Alt", "↑"], "keys.parent"],
  [["/"], "keys.filter"],
  [["F2"], "keys.rename"],
  [["Delete"], "keys.delete"],
  [["Shift", "F10"], "keys.menu"],
  [["Ctrl/⌘", "Enter"], "keys.download"],
  [["Esc"], "keys.escape"],
  [["?"], "keys.help"],
];

export function Help() {
  const { words } = useDesk();
  return html`<${Panel} title=${words.say("place.keyboard")}>
    <p class="muted">${words.say("keys.note")}</p>
    <dl class="keys">
      ${KEYS.map(([keys, text]) => html`<dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${words.say(text)}</dd>`)}
    </dl>
  <//>`;
}
