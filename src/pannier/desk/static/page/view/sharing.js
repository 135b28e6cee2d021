// The forms of a link and of a file request, and what they come to.

import { curl } from "../names.js";
import { html, useDesk, useState } from "./html.js";
import { Modal, Sending } from "./dialogs.js";
import { Button, Copy, Say } from "./parts.js";

const DAY = 86_400;
const TERMS = [1, 7, 30];

/** When something ends: one of three terms, or a day of one's own. Gives seconds from now. */
function Expires({ days, setDays }) {
  const { words } = useDesk();
  const { numbers } = words;
  const own = typeof days === "string";
  const end = own ? new Date(`${days}T23:59:59`).getTime() : Date.now() + days * DAY * 1000;
  const tomorrow = new Date(Date.now() + DAY * 1000);
  return html`<fieldset class="field"><legend>${words.say("share.expires")}</legend>
    <div class="choices">
      ${TERMS.map((n) => html`<label><input type="radio" name="expires" checked=${days === n} data-first=${n === 7 ? true : null}
        onChange=${() => setDays(n)} /><${Say} of="share.days" with=${{ n }} /></label>`)}
      <label><input type="radio" name="expires" checked=${own} onChange=${() => setDays(local(new Date(Date.now() + 14 * DAY * 1000)))} />${words.say("share.date")}</label>
      ${own
        ? html`<input type="date" aria-label=${words.say("share.date")} value=${days} min=${local(tomorrow)} max=${local(new Date(Date.now() + 366 * DAY * 1000))}
            onInput=${(event) => event.currentTarget.value && setDays(event.currentTarget.value)} />`
        : null}
    </div>
    <small>${Number.isFinite(end) ? numbers.until(end) : ""}</small>
  </fieldset>`;
}

function local(date) {
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function seconds(days) {
  if (typeof days === "number") return days * DAY;
  const left = Math.floor((new Date(`${days}T23:59:59`).getTime() - Date.now()) / 1000);
  return Math.max(60, Math.min(366 * DAY, left));
}

export function ShareDialog({ dialog, close }) {
  const { desk, words } = useDesk();
  const { request, plan, picked } = dialog;
  const [days, setDays] = useState(7);
  const [deliveries, setDeliveries] = useState(null);
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [note, setNote] = useState("");
  const [link, setLink] = useState(null);
  const counts = request.format !== "zip+deflate";
  const send = async () => {
    setLink(
      await desk.offers.share(request, {
        expires_in: seconds(days), deliveries: counts ? deliveries : null, password: password || null, note: note.trim() || null,
      }),
    );
  };
  const size = { size: plan.length ?? plan.bytes };
  const title = html`<${Say} of="share.title" with=${{ n: picked, e: plan.entries, size }} />`;
  if (link !== null) return html`<${Made} link=${link} title=${words.say("share.made")} close=${close} />`;
  return html`<${Modal} title=${title} close=${close}>
    <${Sending} send=${send} close=${close} text=${words.say("act.make-link")}>
      <${Expires} days=${days} setDays=${setDays} />
      <fieldset class="field"><legend>${words.say("share.deliveries")}</legend>
        <div class="choices">
          <label><input type="radio" name="deliveries" checked=${deliveries === null} onChange=${() => setDeliveries(null)} />${words.say("share.any")}</label>
          <label><input type="radio" name="deliveries" disabled=${!counts} checked=${deliveries === 1} onChange=${() => setDeliveries(1)} />${words.say("share.one")}</label>
          <label><input type="radio" name="deliveries" disabled=${!counts} checked=${deliveries > 1} onChange=${() => setDeliveries(3)} />${words.say("share.several")}</label>
          ${deliveries > 1
            ? html`<input type="number" min="2" max="1000" value=${deliveries} aria-label=${words.say("share.deliveries")}
                onInput=${(event) => setDeliveries(Math.max(2, Math.min(1000, Number(event.currentTarget.value) || 2)))} />`
            : null}
        </div>
        <small>${words.say(counts ? "share.one-note" : "share.packed-note")}</small>
      </fieldset>
      <label class="field"><span>${words.say("share.password")}</span>
        <span class="with-button"><input type=${shown ? "text" : "password"} value=${password} autocomplete="new-password"
          onInput=${(event) => setPassword(event.currentTarget.value)} />
        <${Button} kind="quiet" aria-pressed=${String(shown)} onPress=${() => setShown(!shown)}>${words.say(shown ? "act.hide" : "act.show-password")}<//></span>
      </label>
      <label class="field"><span>${words.say("share.note")}</span>
        <input type="text" maxlength="1000" value=${note} onInput=${(event) => setNote(event.currentTarget.value)} /></label>
      ${plan.omitted > 0 ? html`<p class="muted"><${Say} of="landing.left-out" with=${{ n: plan.omitted }} /></p>` : null}
      <p class="muted"><small>${words.say("share.served")}</small></p>
    <//>
  <//>`;
}

function Made({ link, title, close }) {
  const { words } = useDesk();
  return html`<${Modal} title=${title} close=${close}>
    <p class="label">${words.say("share.page-link")} <small>${words.say("share.for-people")}</small></p>
    <div class="copied-line"><a href=${link.url} target="_blank" rel="noreferrer" translate="no" data-first>${link.url}</a><${Copy} text=${link.url} /></div>
    ${link.file_url
      ? html`<p class="label">${words.say("share.command")}</p>
          <div class="copied-line"><code translate="no">${curl(link)}</code><${Copy} text=${curl(link)} /></div>`
      : null}
    <p class="muted">${link.expires_at ? html`<${Say} of="links.until" with=${{ time: { until: Date.parse(link.expires_at) } }} />` : null}</p>
    <div class="row-of-buttons"><${Button} kind="primary" onPress=${close}>${words.say("act.close")}<//></div>
  <//>`;
}

const MIB = 2 ** 20;

export function RequestDialog({ dialog, close }) {
  const { desk, words } = useDesk();
  const [days, setDays] = useState(7);
  const [title, setTitle] = useState("");
  const [note, setNote] = useState("");
  const [largest, setLargest] = useState("");
  const [total, setTotal] = useState("");
  const [count, setCount] = useState("");
  const [made, setMade] = useState(null);
  const number = (text, unit) => (text === "" ? null : Math.max(1, Math.round(Number(text) * unit)));
  const send = async () => {
    setMade(
      await desk.offers.request({
        folder: desk.folder.id, path: dialog.path, title: title.trim() || null, note: note.trim() || null, expires_in: seconds(days),
        largest: number(largest, MIB), total: number(total, MIB), count: number(count, 1),
      }),
    );
  };
  if (made !== null) return html`<${Made} link=${made} title=${words.say("request.made")} close=${close} />`;
  const where = dialog.path === "" ? desk.folder.name : `${desk.folder.name}/${dialog.path}`;
  return html`<${Modal} title=${words.say("act.new-request")} close=${close}>
    <${Sending} send=${send} close=${close} text=${words.say("act.make-link")}>
      <p class="muted"><${Say} of="request.into" with=${{ folder: { name: where } }} /></p>
      <label class="field"><span>${words.say("request.title")}</span>
        <input type="text" data-first maxlength="200" value=${title} placeholder=${words.say("request.title-example")} onInput=${(event) => setTitle(event.currentTarget.value)} /></label>
      <label class="field"><span>${words.say("request.note")}</span>
        <input type="text" maxlength="1000" value=${note} onInput=${(event) => setNote(event.currentTarget.value)} /></label>
      <${Expires} days=${days} setDays=${setDays} />
      <fieldset class="field"><legend>${words.say("request.limits")}</legend>
        <div class="limits">
          <label>${words.say("request.largest")}<input type="number" min="1" value=${largest} onInput=${(event) => setLargest(event.currentTarget.value)} /></label>
          <label>${words.say("request.total")}<input type="number" min="1" value=${total} onInput=${(event) => setTotal(event.currentTarget.value)} /></label>
          <label>${words.say("request.count")}<input type="number" min="1" value=${count} onInput=${(event) => setCount(event.currentTarget.value)} /></label>
        </div>
        <small>${words.say("request.limits-note")}</small>
      </fieldset>
    <//>
  <//>`;
}
