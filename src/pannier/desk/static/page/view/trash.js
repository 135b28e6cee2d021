// What was deleted and is still kept: back to its place, or gone for good.

import { html, useDesk } from "./html.js";
import { Button, PathName, Say } from "./parts.js";
import { Panel } from "./panel.js";
import { Trouble } from "./trouble.js";

export function Trash() {
  const { desk, words } = useDesk();
  const { trash, error } = desk.changes;
  return html`<${Panel} title=${words.say("place.trash")}>
    <p class="muted">${words.say("trash.note")}</p>
    ${error === null ? null : html`<${Trouble} problem=${error} />`}
    ${trash !== null && trash.length === 0 ? html`<p>${words.say("trash.empty")}</p>` : null}
    <ul class="links-list">
      ${(trash ?? []).map((deed) => html`<li key=${deed.id}>
        <div class="what"><${PathName} path=${deed.items[0]?.path ?? "?"} />
          ${deed.total > 1 ? html` <small><${Say} of="trash.more" with=${{ n: deed.total - 1 }} /></small>` : null}</div>
        <p class="facts-line"><${Say} of="trash.when" with=${{ time: { until: Date.parse(deed.deleted_at) }, until: { until: Date.parse(deed.kept_until) } }} /></p>
        <span class="acts">
          <${Button} onPress=${() => desk.changes.restore(deed.id)}>${words.say("act.restore")}<//>
          <${Button} kind="quiet" onPress=${() => desk.ask({ kind: "forever", deed })}>${words.say("act.delete-forever")}<//>
        </span>
      </li>`)}
    </ul>
  <//>`;
}
