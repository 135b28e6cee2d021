// The upload tray: what is sent, what waits, what needs an answer.

import { ENDED } from "../uploads.js";
import { sentence, tooLarge } from "../problems.js";
import { html, useDesk, useNow, useState } from "./html.js";
import { Button, Icon, Name, Progress, Say, plain } from "./parts.js";

const ORDER = { asks: 0, refused: 1, waiting: 2, sending: 3, paused: 4, queued: 5, sent: 6, skipped: 7, stopped: 8 };
const TONE = { asks: "warn", waiting: "warn", paused: "warn", refused: "bad", sent: "ok" };
const ICON = { asks: "warn", waiting: "warn", refused: "stop", sent: "check", paused: "pause", stopped: "close", skipped: "close" };
const SHOWN = 60;

export function Tray() {
  const { desk, words } = useDesk();
  const { uploads } = desk;
  const { items, waiting } = uploads;
  useNow(items.length > 0);
  if (items.length === 0 && waiting.length === 0) return null;
  const total = uploads.summary;
  const rows = [...items].sort((a, b) => ORDER[a.state] - ORDER[b.state] || a.id - b.id);
  const { rate, left } = uploads.pace;
  return html`<aside class=${`tray${uploads.folded ? " folded" : ""}`} aria-label=${words.say("place.uploads")}>
    <div class="panel-head">
      <h2>${headline(desk, words, total, rate, left)}</h2>
      <span class="space"></span>
      ${total.open
        ? html`<${Button} kind="quiet" icon=${uploads.paused ? "resume" : "pause"} onPress=${() => uploads.pauseAll(!uploads.paused)}
            >${words.say(uploads.paused ? "act.resume-all" : "act.pause-all")}<//>`
        : null}
      <${Button} kind="quiet bare fold" icon="up" label=${words.say(uploads.folded ? "act.unfold" : "act.fold")}
        aria-expanded=${String(!uploads.folded)} onPress=${() => {
          uploads.folded = !uploads.folded;
          desk.changed();
        }} />
      ${total.open ? null : html`<${Button} kind="quiet bare" icon="close" label=${words.say("act.close")} onPress=${() => uploads.close()} />`}
    </div>
    ${uploads.folded
      ? null
      : html`${waiting.length > 0
          ? html`<p class="strip"><${Icon} name="warn" /><span><${Say} of="upload.again" with=${{
              n: waiting.length, a: { size: waiting.reduce((sum, { safe }) => sum + safe, 0) } }} /></span></p>`
          : null}
        <ul>${rows.slice(0, SHOWN).map((item) => html`<${Row} key=${item.id} item=${item} />`)}</ul>
        ${items.length > 0
          ? html`<p class="foot">${rows.length > SHOWN ? html`<${Say} of="upload.more" with=${{ n: rows.length - SHOWN }} /> · ` : null}${foot(words, total)}</p>`
          : null}`}
  </aside>`;
}

function headline(desk, words, total, rate, left) {
  const { numbers } = words;
  if (total.files === 0) return words.say("place.uploads");
  if (!total.open) return html`<${Say} of="upload.done" with=${{ n: total.sentFiles }} />`;
  const into = desk.uploads.items.at(-1);
  const parts = [
    html`<${Say} of="upload.head" with=${{ folder: { name: into.into === "" ? into.folder : `${into.folder}/${into.into}` } }} />`,
    html`<${Say} of="upload.files" with=${{ n: total.sentFiles, m: total.files }} />`,
    html`<${Say} of="upload.bytes" with=${{ a: { size: total.sent }, b: { size: total.bytes } }} />`,
  ];
  if (rate > 0) parts.push(numbers.rate(rate));
  if (left !== null) parts.push(html`<${Say} of="activity.left" with=${{ t: numbers.duration(left) }} />`);
  return parts.map((part, i) => html`${i > 0 ? " · " : ""}${part}`);
}

function foot(words, total) {
  const parts = [["upload.n-sent", total.sentFiles], ["upload.n-ask", total.asking], ["upload.n-wait", total.waiting],
    ["upload.n-refused", total.refused], ["upload.n-skipped", total.skipped]];
  return parts.filter(([, n], i) => n > 0 || i === 0).map(([key, n]) => words.say(key, { n })).join(" · ");
}

function Row({ item }) {
  const { desk, words } = useDesk();
  const { uploads } = desk;
  const [stopping, setStopping] = useState(false);
  const ended = ENDED.has(item.state);
  const moving = item.state === "sending" || item.state === "paused" || (item.state === "waiting" && item.safe > 0);
  const sizes = { a: { size: item.sent }, b: { size: item.size } };
  return html`<li class=${`upload ${TONE[item.state] ?? ""} ${item.state}`} data-state=${item.state}>
    <span class="what"><${Icon} name=${ICON[item.state] ?? "upload"} /><${Name} name=${item.path} cut />
      ${moving ? html`<span class="percent">${words.numbers.percent(item.sent, item.size)}</span>` : null}</span>
    ${moving ? html`<${Progress} part=${item.sent} whole=${item.size} text=${plain(words, "upload.bytes", sizes)}
        tone=${TONE[item.state] ?? ""} />` : null}
    <p class="sentence">${stopping
      ? html`<${Say} of="upload.stop" with=${{ a: { size: item.safe } }} />`
      : html`<${Sentence} item=${item} />`}</p>
    <span class="acts">${stopping
      ? html`<${Button} onPress=${() => setStopping(false)}>${words.say("act.go-on")}<//>
          <${Button} kind="danger" onPress=${() => uploads.stop(item)}>${words.say("act.stop-and-delete")}<//>`
      : html`
        ${item.state === "asks" ? html`<${Answers} item=${item} />` : null}
        ${item.state === "sending" ? html`<${Button} kind="quiet" onPress=${() => uploads.pause(item)}>${words.say("act.pause")}<//>` : null}
        ${item.state === "paused" ? html`<${Button} kind="quiet" onPress=${() => uploads.resume(item)}>${words.say("act.resume")}<//>` : null}
        ${item.state === "waiting" ? html`<${Button} kind="quiet" onPress=${() => uploads.resume(item)}>${words.say("act.now")}<//>` : null}
        ${item.state === "asks" ? null : html`<${Button} kind="quiet bare" icon="close"
          label=${plain(words, ended ? "upload.dismiss" : "upload.stop-this", { name: { name: item.path } })}
          onPress=${() => (ended ? uploads.dismiss(item) : item.safe > 0 ? setStopping(true) : uploads.stop(item))} />`}`}
    </span>
  </li>`;
}

function Sentence({ item }) {
  const { words } = useDesk();
  switch (item.state) {
    case "sending":
    case "paused":
      return html`<${Say} of=${item.state === "paused" ? "upload.paused" : "upload.bytes"}
        with=${{ a: { size: item.sent }, b: { size: item.size } }} />`;
    case "asks":
      return item.there === null
        ? html`<${Say} of="upload.exists" with=${{ b: { size: item.size } }} />`
        : html`<${Say} of="upload.exists-as" with=${{ a: { size: item.there.size }, time: { until: item.there.time }, b: { size: item.size } }} />`;
    case "waiting": {
      const values = { a: { size: item.safe }, s: Math.max(0, Math.ceil((item.retryAt - Date.now()) / 1000)) };
      if (item.problem?.status === undefined) return html`<${Say} of="upload.lost" with=${values} />`;
      const told = sentence(item.problem, (key) => words.has(key));
      return html`<${Say} of=${told.key} with=${{ ...told.values, ...values }} />`;
    }
    case "refused": {
      const { key, values } = tooLarge(item.problem, item.size) ??
        sentence({ ...item.problem, name: item.path }, (each) => words.has(each));
      return html`${words.say("upload.refused")} <${Say} of=${key} with=${values} />`;
    }
    case "sent":
      return html`<${Say} of="upload.sent" with=${{ b: { size: item.size } }} />`;
    default:
      return words.say(`upload.${item.state}`);
  }
}

function Answers({ item }) {
  const { desk, words } = useDesk();
  const [all, setAll] = useState(false);
  const others = desk.uploads.summary.asking > 1;
  const answer = (choice) => desk.uploads.answer(item.id, choice, all);
  return html`<${Button} onPress=${() => answer("both")}>${words.say("act.keep-both")}<//>
    <${Button} onPress=${() => answer("replace")}>${words.say("act.replace")}<//>
    <${Button} onPress=${() => answer("skip")}>${words.say("act.skip")}<//>
    ${others
      ? html`<label class="for-all"><input type="checkbox" checked=${all} onChange=${(event) => setAll(event.currentTarget.checked)} />
          ${words.say("upload.for-all")}</label>`
      : null}`;
}
