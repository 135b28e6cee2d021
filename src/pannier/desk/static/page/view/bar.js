// The selection bar: what the machine in bar.js says, as elements.

import { share } from "../asks.js";
import { face } from "../bar.js";
import { html, useDesk, useEffect, useNow, useRef } from "./html.js";
import { formatMenu, selectionMenu } from "./menus.js";
import { Button, Icon, Menu, Say, plain } from "./parts.js";
import { Trouble } from "./trouble.js";

export function Bar() {
  const { desk, words } = useDesk();
  const state = desk.bar;
  const now = useNow(["counting", "busy"].includes(state.phase));
  const shown = face(state, now);
  useSpoken(desk, words, state, shown);
  const { primary } = shown;
  const picked = state.picked > 0;
  const settled = ["exact", "started"].includes(state.phase) && state.offline === null;
  const why = state.phase === "refused" || state.phase === "limit" ? "bar.refused-reason" : "bar.counting-reason";
  return html`<section
    class=${`bar ${shown.tone} ${state.phase}`}
    aria-label=${words.say("bar.label")}
  >
    <div class="told">
      <p class="first">
        ${shown.tone === "plain" ? null : html`<${Icon} name=${shown.tone === "bad" ? "stop" : "warn"} />`}
        ${shown.problem
          ? html`<${Trouble} problem=${shown.problem} inline />`
          : joined(shown.text)}
        ${shown.renamed > 0
          ? html`<button type="button" class="chip" onClick=${() => desk.show("details")}>
              <${Say} of="bar.renamed" with=${{ n: shown.renamed }} />
            </button>`
          : null}
        ${shown.omitted > 0
          ? html`<button type="button" class="chip warn" onClick=${() => desk.show("details")}>
              <${Say} of="bar.omitted" with=${{ n: shown.omitted }} />
            </button>`
          : null}
      </p>
      <p class="second">
        ${joined(shown.below)}
        ${shown.stop
          ? html`<button type="button" class="text" onClick=${() => desk.planner.stop()}>${words.say("act.stop")}</button>`
          : null}
      </p>
    </div>
    ${picked
      ? html`<div class="acts">
          <${Menu} up text=${formatName(desk, words)} label=${words.say("format.label")} items=${formatMenu(desk, words)}
            kind="quiet drop" />
          <${Button} kind="quiet details" onPress=${() => desk.show("details")}
            aria-expanded=${String(desk.panel === "details")}>${words.say("act.details")}<//>
          ${desk.shares
            ? html`<${Button}
                kind="quiet share" icon="share" enabled=${settled} reason=${why} onPress=${() => share(desk)}
              >${words.say("act.share")}<//>`
            : null}
          <${Menu} up icon="more" kind="quiet bare" label=${words.say("bar.more")} items=${selectionMenu(desk, words)} />
          <${Button} kind="quiet bare clear-x" icon="close" label=${words.say("act.clear")} onPress=${() => desk.picking.clear()} />
          <${Button} kind="quiet clear" onPress=${() => desk.picking.clear()}>${words.say("act.clear")}<//>
        </div>`
      : null}
    ${primary === null
      ? null
      : html`<${Button}
          kind=${`primary${primary.action === "review" ? " review" : ""}`}
          icon=${primary.action === "download" ? "down" : null}
          enabled=${primary.enabled}
          reason=${primary.reason ?? null}
          onPress=${() => desk.planner.primary(primary.action)}
        >${words.say(primary.key)}${primary.action === "download" && state.exact?.length
          ? html`<span class="with-size"> · ${words.numbers.size(state.exact.single ? state.exact.bytes : state.exact.length)}</span>`
          : null}<//>`}
  </section>`;
}

function formatName(desk, words) {
  return { zip: "ZIP", tar: "TAR" }[desk.planner.format] ?? words.say("format.smaller");
}

function joined(sentences) {
  return sentences.map(
    ([key, values], i) => html`${i > 0 ? html`<span class="dot" aria-hidden="true"> · </span>` : null}<span
        ><${Say} of=${key} with=${values}
      /></span>`,
  );
}

/** The status line for voices: the bar's summary, once it has settled for 0.7 s. */
function useSpoken(desk, words, state, shown) {
  const text = [...shown.text, ...shown.below].map(([key, values]) => plain(words, key, values)).join(" · ");
  const settled = state.phase !== "counting" && state.phase !== "none";
  const last = useRef("");
  useEffect(() => {
    if (!settled || text === last.current) return undefined;
    const timer = setTimeout(() => {
      last.current = text;
      state.phase === "refused" ? desk.alert(text) : desk.tell(text);
    }, 700);
    return () => clearTimeout(timer);
  }, [text, settled]);
}
