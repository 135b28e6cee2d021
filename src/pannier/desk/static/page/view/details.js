// The side panel of the plan: what you will get, or what needs a decision first.

import { offendersText, saveOffenders } from "../offenders.js";
import { refusal } from "../problems.js";
import { html, useDesk, useState } from "./html.js";
import { FORMATS } from "./menus.js";
import { Button, Copy, Icon, Name, PathName, Say, Size, plain } from "./parts.js";
import { Panel } from "./panel.js";
import { Trouble } from "./trouble.js";
import { VirtualList } from "./virtual.js";

export function Details() {
  const { desk, words } = useDesk();
  const { bar } = desk;
  if (bar.phase === "limit") {
    return html`<${Panel} title=${words.say("plan.decision")}><${Trouble} problem=${bar.problem} /><//>`;
  }
  return bar.phase === "refused" ? html`<${Refusals} />` : html`<${Plan} />`;
}

function Plan() {
  const { desk, words } = useDesk();
  const { bar } = desk;
  const plan = bar.exact;
  const [from, setFrom] = useState(false);
  if (plan === null) {
    return html`<${Panel} title=${words.say("plan.title")}>
      <p class="muted"><${Say} of=${bar.picked === 0 ? "bar.none" : "bar.so-far"} with=${{ e: bar.entries ?? 0 }} /></p>
      <${Picked} />
    <//>`;
  }
  const kinds = [
    [plan.files, "plan.files"],
    [plan.links, "plan.links"],
    [plan.directories, "plan.empty-folders"],
  ].filter(([n]) => n > 0);
  return html`<${Panel} title=${words.say("plan.title")}>
    <p class="filename"><${Name} name=${plan.filename} /></p>
    <dl class="facts">
      <dt>${words.say("plan.entries")}</dt>
      <dd>${words.numbers.count(plan.entries)}
        <small>${kinds.map(([n, key], i) => html`${i > 0 ? ", " : ""}<${Say} of=${key} with=${{ n }} />`)}</small></dd>
      <dt>${words.say("plan.contents")}</dt>
      <dd><${Size} bytes=${plan.bytes} /> <small>${words.numbers.bytes(plan.bytes)}</small></dd>
      ${plan.single
        ? null
        : html`<dt>${words.say("plan.archive")}</dt>
            <dd>${plan.length === null
              ? words.say("plan.unknown")
              : html`<${Size} bytes=${plan.length} /> <small>${words.numbers.bytes(plan.length)}</small>`}</dd>`}
      ${plan.length === null || desk.planner.format !== "zip" || plan.single
        ? null
        : html`<dt>${words.say("plan.checksums")}</dt>
            <dd><${Say} of=${plan.known >= plan.bytes ? "plan.checksums-all" : "plan.checksums-part"}
              with=${{ p: plan.bytes === 0 ? 100 : Math.floor((100 * plan.known) / plan.bytes) }} /></dd>`}
    </dl>
    ${plan.omitted > 0
      ? html`<h3><${Say} of="plan.left-out" with=${{ n: plan.omitted }} /></h3>
          <${VirtualList} items=${plan.lists.omitted} row=${(item) => html`<${PathName} path=${item.path} />`} />`
      : null}
    ${plan.renamed > 0
      ? html`<h3><${Say} of="bar.renamed" with=${{ n: plan.renamed }} /> <small>${words.say("plan.in-archive-only")}</small></h3>
          <${VirtualList} items=${plan.lists.renamed} tall row=${(item) => html`<${Renaming} item=${item} />`} />`
      : null}
    ${plan.warnings > 0
      ? html`<h3><${Say} of="plan.warnings" with=${{ n: plan.warnings }} /></h3>
          <${VirtualList} items=${plan.lists.warnings} tall row=${(item) => html`<${PathName} path=${item.path} />
            <small>${words.say(words.has(`warning.${item.reason}`) ? `warning.${item.reason}` : "warning.other")}</small>`} />`
      : null}
    ${plan.single ? null : html`<${Formats} />`}
    <${Picked} />
    ${desk.shares && !plan.single
      ? html`<details class="terminal" open=${from} onToggle=${(event) => setFrom(event.currentTarget.open)}>
          <summary>${words.say("plan.terminal")}</summary>
          ${from ? html`<${Command} />` : null}
        </details>`
      : null}
    <div class="row-of-buttons">
      <${Button} kind="primary" icon="down" enabled=${bar.offline === null} reason="bar.offline-reason"
        onPress=${() => desk.planner.primary("download")}
        >${words.say(plan.single ? "act.download-file" : "act.download")}${plan.length === null && !plan.single
          ? null
          : ` · ${words.numbers.size(plan.single ? plan.bytes : plan.length)}`}<//>
      ${desk.planner.watchable
        ? html`<${Button} kind="quiet" onPress=${() => desk.planner.save()}>${words.say("act.save-watch")}<//>`
        : null}
    </div>
  <//>`;
}

function Formats() {
  const { desk, words } = useDesk();
  return html`<fieldset class="radios">
    <legend>${words.say("format.label")}</legend>
    ${FORMATS.map(
      ([format, text, note]) => html`<label>
        <input type="radio" name="format" value=${format} checked=${desk.planner.format === format} onChange=${() => desk.planner.choose(format)} />
        <span>${words.say(text)} <small>${words.say(note)}</small></span>
      </label>`,
    )}
  </fieldset>`;
}

/** Where the picked rows are, so that those elsewhere can be found again. */
function Picked() {
  const { desk, words } = useDesk();
  const places = desk.selection.places;
  if (places.length === 0 || (places.length === 1 && places[0][0] === desk.directory)) return null;
  return html`<h3>${words.say("plan.picked")}</h3>
    <ul class="places">
      ${places.map(
        ([directory, n]) => html`<li>
          <button type="button" class="text" onClick=${() => desk.go(desk.folder.id, directory)}>
            <${PathName} path=${directory === "" ? desk.folder.name : directory} /></button>
          <span class="muted"><${Say} of="bar.selected" with=${{ n }} /></span>
        </li>`,
      )}
    </ul>`;
}

function Command() {
  const { desk, words } = useDesk();
  const { command } = desk.planner;
  if (command === null) {
    return html`<p class="muted">${words.say("plan.command-note")}</p>
      <${Button} onPress=${() => desk.planner.makeCommand()}>${words.say("plan.make-command")}<//>`;
  }
  return html`<div class="copied-line"><code>${command}</code><${Copy} text=${command} /></div>`;
}

function Renaming({ item }) {
  const { words } = useDesk();
  const why = item.reasons.map((reason) => words.say(words.has(`renamed.${reason}`) ? `renamed.${reason}` : "renamed.other"));
  return html`<${PathName} path=${item.path} />
    <small>→ <${Name} name=${item.name} /> · ${why.join(", ")}</small>`;
}

function Refusals() {
  const { desk, words } = useDesk();
  const plan = desk.bar.exact;
  const [error, setError] = useState(null);
  const list = plan.lists.offenders;
  const ready = plan.without;
  return html`<${Panel} title=${words.say("plan.decision")} tone="bad">
    <p><strong><${Say} of="bar.refused" with=${{ n: plan.refused, m: plan.asked }} /></strong><br />
      ${words.say("bar.nothing-sent")}</p>
    <${VirtualList} items=${list} tall total=${plan.refused}
      row=${(item) => html`<span class="offender"><${Icon} name="stop" /><span><${PathName} path=${item.path} />
        <small>${words.say(refusal(item.code, (key) => words.has(key)))}</small></span></span>`} />
    ${list.length < plan.refused
      ? html`<p class="muted"><${Say} of="plan.first-of" with=${{ n: list.length, m: plan.refused }} /></p>`
      : null}
    <div class="row-of-buttons">
      <${Copy} text=${() => offendersText(desk)}>${words.say("plan.copy-list")}<//>
      <${Button} kind="quiet" icon="down" onPress=${() => saveOffenders(desk)}>${words.say("plan.save-list")}<//>
    </div>
    ${error ? html`<${Trouble} problem=${error} />` : null}
    <div class="row-of-buttons">
      <${Button} kind="primary" onPress=${() => desk.planner.leaveOut().catch(setError)}>
        ${ready
          ? plain(words, "plan.leave-out-download", { n: plan.refused, e: ready.entries, size: { size: ready.bytes } })
          : plain(words, "plan.leave-out", { n: plan.refused })}
      <//>
      <${Button} kind="quiet" onPress=${() => desk.planner.recount()}>${words.say("act.count-again")}<//>
    </div>
  <//>`;
}
