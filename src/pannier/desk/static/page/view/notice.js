// What was done, with the way back; or what the server refused. Stays until it is dealt with.

import { html, useDesk, useState } from "./html.js";
import { Button, Icon, PathName, Say } from "./parts.js";
import { Trouble } from "./trouble.js";
import { sentence } from "../problems.js";

export function Notice() {
  const { desk, words } = useDesk();
  const { notice } = desk;
  const [open, set] = useState(false);
  if (notice === null) return null;
  const close = html`<${Button} kind="quiet bare" icon="close" label=${words.say("act.close")} onPress=${() => desk.notify(null)} />`;
  if (notice.problem) return html`<div class="notice bad" role="alert"><${Icon} name="stop" /><${Trouble} problem=${notice.problem} inline />${close}</div>`;
  return html`<div class=${`notice${notice.failed ? " bad" : ""}`}>
    <div>
      <p><${Say} of=${notice.key} with=${notice.values} /></p>
      ${notice.failed
        ? html`<details open=${open} onToggle=${(event) => set(event.currentTarget.open)}>
            <summary>${words.say("error.details")}</summary>
            <ul>${notice.failed.slice(0, 20).map(({ path, problem }) => {
              const told = sentence({ status: 409, ...problem, type: (problem.type ?? "").replace(/^.*[:]/u, ""), document: problem, name: path }, (key) => words.has(key));
              return html`<li><${PathName} path=${path} /> <small><${Say} of=${told.key} with=${told.values} /></small></li>`;
            })}</ul>
          </details>`
        : null}
    </div>
    ${notice.undo
      ? html`<${Button} kind="primary" onPress=${() => {
          desk.notify(null);
          notice.undo();
        }}>${words.say("act.undo")}<//>`
      : null}
    ${close}
  </div>`;
}
