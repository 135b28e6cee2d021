// Running and recent downloads: a panel under the top bar.

import { quoted, visible } from "../names.js";
import { html, useDesk, useNow } from "./html.js";
import { Button, Copy, Icon, Name, Progress, Say, plain } from "./parts.js";

const ICONS = {
  waiting: "down", running: "down", pausing: "pause", interrupted: "warn", resumed: "resume", stopped: "stop",
  sent: "check", checked: "check", saved: "check", revoked: "stop", expired: "stop",
};

export function Activity() {
  const { desk, words } = useDesk();
  useNow(desk.downloads.moving);
  const rows = desk.downloads.rows(Date.now());
  return html`<aside class="activity-panel" aria-label=${words.say("place.activity")}>
    <div class="panel-head">
      <h2>${words.say("place.activity")}</h2>
      <span class="space"></span>
      ${rows.some(({ row }) => row.ended)
        ? html`<${Button} kind="quiet" onPress=${() => desk.downloads.dismissEnded()}>${words.say("activity.clear")}<//>`
        : null}
      <${Button} kind="quiet bare" icon="close" label=${words.say("act.close")} onPress=${() => desk.showActivity(false)} />
    </div>
    ${rows.length === 0
      ? html`<p class="muted empty-line">${words.say("activity.none")}</p>`
      : html`<ul>${rows.map((each) => html`<${Download} key=${each.session.id} ...${each} />`)}</ul>`}
  </aside>`;
}

function Download({ session, row, again, url, saver }) {
  const { desk, words } = useDesk();
  const { numbers } = words;
  const { length, delivered } = session;
  const text = plain(words, ...row.text);
  const progress = length !== null && !["sent", "checked", "saved", "revoked", "expired", "waiting"].includes(row.state);
  return html`<li class=${`download ${row.tone}`} data-state=${row.state}>
    <span class="state"><${Icon} name=${ICONS[row.state]} />${words.say(`state.${row.state}`)}</span>
    <span class="what"><${Name} name=${session.filename} cut /></span>
    ${progress
      ? html`<span class="percent">${numbers.percent(delivered, length)}</span>
          <${Progress} part=${delivered} whole=${length} text=${text} tone=${row.tone} />`
      : null}
    <p class="sentence">
      <${Say} of=${row.text[0]} with=${row.text[1]} />
      ${row.rate > 0 ? html` · ${numbers.rate(row.rate)}` : null}
      ${row.left !== null && row.left !== undefined
        ? html` · <${Say} of="activity.left" with=${{ t: numbers.duration(row.left) }} />`
        : null}
    </p>
    <span class="acts">
      ${["stopped", "expired"].includes(row.state) && again
        ? html`<${Button} kind="quiet" icon="resume" onPress=${() => desk.downloads.again(session.id)}
            >${words.say("act.count-and-start-over")}<//>`
        : null}
      ${row.here ? html`<${Button} kind="primary" onPress=${() => saver.now()}>${words.say("act.resume-here")}<//>` : null}
      ${row.state === "interrupted" && !row.here && url !== null && length !== null
        ? html`<${Copy} text=${command(session, url)}>${words.say("act.copy-command")}<//>`
        : null}
      ${row.state === "interrupted" && !row.here && again
        ? html`<${Button} kind="quiet" onPress=${() => desk.downloads.again(session.id)}>${words.say("act.start-over")}<//>`
        : null}
      ${["running", "pausing", "resumed"].includes(row.state)
        ? html`<${Button} kind="quiet" onPress=${() => desk.downloads.stop(session.id)}>${words.say("act.stop")}<//>`
        : null}
      <${Button} kind="quiet bare" icon="close" label=${plain(words, "activity.dismiss", { name: { name: session.filename } })}
        onPress=${() => desk.downloads.dismiss(session.id)} />
    </span>
  </li>`;
}

/** A line for a terminal that goes on with what a terminal has begun, or begins. */
function command({ filename }, url) {
  return `curl -C - -o ${quoted(visible(filename))} '${new URL(url, location.href).href}'`;
}
