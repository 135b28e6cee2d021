// My links and file requests: how each stands, copied, taken back.

import { request } from "../asks.js";
import { html, useDesk } from "./html.js";
import { Button, Copy, Icon, Name, Say } from "./parts.js";
import { Panel } from "./panel.js";
import { Trouble } from "./trouble.js";

export function Links() {
  const { desk, words } = useDesk();
  const { links, requests, error } = desk.offers;
  const all = [
    ...(links ?? []).map((link) => ({ kind: "link", made: link.created_at, it: link })),
    ...(requests ?? []).map((asked) => ({ kind: "request", made: asked.created_at, it: asked })),
  ].sort((a, b) => (a.made < b.made ? 1 : -1));
  return html`<${Panel} wide title=${words.say("place.links")}
    actions=${desk.writable ? html`<${Button} icon="upload" onPress=${() => request(desk, null)}>${words.say("act.new-request")}<//>` : null}>
    ${error === null ? null : html`<${Trouble} problem=${error} />`}
    ${links !== null && all.length === 0 ? html`<p class="muted">${words.say("links.none")}</p>` : null}
    <ul class="links-list">
      ${all.map(({ kind, it }) => html`<${kind === "link" ? Link : Request} key=${it.code} it=${it} />`)}
    </ul>
  <//>`;
}

function Line({ parts }) {
  return html`<p class="facts-line">${parts
    .filter((part) => part !== null)
    .map(([key, values], i) => html`${i > 0 ? " · " : ""}<${Say} of=${key} with=${values} />`)}</p>`;
}

function Link({ it }) {
  const { desk, words } = useDesk();
  const open = it.state === "open";
  const once = it.deliveries === 1;
  const ends = Date.parse(it.expires_at);
  return html`<li class=${open ? "" : "over"} data-state=${it.state}>
    <p class="what"><${Icon} name="down" /> <${Name} name=${it.filename} /> <small><${Say} of="bar.entries" with=${{ e: it.entries }} />${" · "}<${Say} of="size"
      with=${{ size: { size: it.length ?? it.bytes } }} /></small></p>
    <div>
      <${Line} parts=${[
        open ? ["links.expires", { time: { until: ends }, t: words.numbers.duration(Math.max(60, (ends - Date.now()) / 1000)) }] : [`links.${it.state}`, { time: { until: Date.parse(it.revoked_at ?? it.expires_at) } }],
        it.deliveries === null ? null : once ? ["links.once", {}] : ["links.left", { n: Math.max(0, it.deliveries - it.delivered), m: it.deliveries }],
        ["links.sent", { a: { size: it.bytes_sent } }],
        it.delivered > 0 ? ["links.delivered", { n: it.delivered }] : null,
        it.running > 0 ? ["links.running", { n: it.running }] : null,
        it.left_out > 0 ? ["links.left-out", { n: it.left_out }] : null,
        it.password ? ["links.password", {}] : null,
      ]} />
      ${it.note ? html`<p class="facts-line">“${it.note}”</p>` : null}
      ${open ? html`<p class="address" translate="no">${it.url}</p>` : null}
      ${it.changed ? html`<p class="facts-line warn-line"><${Icon} name="warn" />${words.say("links.changed")}</p>` : null}
    </div>
    <span class="acts">
      ${open
        ? html`<${Copy} text=${it.url} label=${`${words.say("act.copy")}: ${it.filename}`} />
            ${it.changed ? html`<${Button} kind="quiet" onPress=${() => desk.ask(renewed(desk, it))}>${words.say("links.renew")}<//>` : null}
            <${Button} kind="quiet" onPress=${() => desk.ask({ kind: "revoke", link: it })}>${words.say("act.revoke")}<//>`
        : html`<${Button} kind="quiet" onPress=${() => desk.offers.forget("link", it.code)}>${words.say("act.remove")}<//>`}
    </span>
  </li>`;
}

/** The share form for what a link was made of, so that a new one can be made of how it is now. */
function renewed(desk, link) {
  const plan = { entries: link.entries, bytes: link.bytes, length: link.length };
  const request = { folder: link.folder, files: link.paths, except: link.except ?? [], format: link.format, filename: link.filename };
  return { kind: "share", picked: link.paths.length, plan, request };
}

function Request({ it }) {
  const { desk, words } = useDesk();
  const open = it.state === "open";
  return html`<li class=${open ? "" : "over"} data-state=${it.state}>
    <p class="what"><${Icon} name="upload" /> <span><${Say} of="links.request" with=${{ name: { name: it.title || it.path || it.folder } }} /></span></p>
    <${Line} parts=${[
      open
        ? ["links.expires", { time: { until: Date.parse(it.expires_at) }, t: words.numbers.duration(Math.max(60, (Date.parse(it.expires_at) - Date.now()) / 1000)) }]
        : [`requests.${it.state}`, { time: { until: Date.parse(it.closed_at ?? it.expires_at) } }],
      ["requests.into", { name: { name: it.path === "" || it.path === "." ? it.folder : `${it.folder}/${it.path}` } }],
      ["requests.received", { n: it.files, a: { size: it.received } }],
    ]} />
    <span class="acts">
      ${open
        ? html`<${Copy} text=${it.url} label=${`${words.say("act.copy")}: ${it.title ?? ""}`} />
            <${Button} kind="quiet" onPress=${() => desk.offers.end("request", it.code)}>${words.say("act.close-request")}<//>`
        : html`<${Button} kind="quiet" onPress=${() => desk.offers.forget("request", it.code)}>${words.say("act.remove")}<//>`}
    </span>
  </li>`;
}
