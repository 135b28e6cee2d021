// Small parts that views share: icons, names, sizes, times, buttons, menus.

import { basename, split, visible } from "../names.js";
import { plain } from "../plain.js";
import { html, useDesk, useEffect, useLayoutEffect, useRef, useState } from "./html.js";

export { plain };

const ICONS = new URL("../../icons.svg", import.meta.url).pathname; // wherever the page stands

let held = false;

/** Hold all icons in the page itself: those of "no connection" cannot be fetched when they are needed. */
export function holdIcons() {
  const asked = new XMLHttpRequest(); // what reads a document where none may be made of text
  asked.responseType = "document";
  asked.onload = () => {
    if (asked.status === 200 && asked.responseXML !== null) hold(asked.responseXML.documentElement);
  };
  asked.open("GET", ICONS);
  asked.send();
}

function hold(sprite) {
  for (const symbol of sprite.querySelectorAll("symbol")) symbol.id = `icon-${symbol.id}`;
  sprite.setAttribute("aria-hidden", "true");
  for (const side of ["width", "height"]) sprite.setAttribute(side, "0");
  sprite.style.position = "absolute"; // takes no room
  document.body.append(document.adoptNode(sprite));
  held = true;
}

export function Icon({ name }) {
  const where = held ? `#icon-${name}` : `${ICONS}#${name}`;
  return html`<svg class="icon" aria-hidden="true" focusable="false"><use href=${where} /></svg>`;
}

/** A name, or a path where `path` is said; cut in the middle where the room is short and `cut` is said. */
export function Name({ name, cut = false, folder = false }) {
  const shown = visible(name);
  if (!cut) return html`<bdi translate="no" class="name">${shown}${folder ? "/" : ""}</bdi>`;
  const [head, end] = split(shown);
  return html`<bdi translate="no" class="name cut" title=${shown.length > 24 ? shown : null}>
    <span class="head">${head}</span>${end === "" ? null : html`<span class="tail">${end}</span>`}${folder ? "/" : ""}
  </bdi>`;
}

/** A path by its last part, the rest of it muted. */
export function PathName({ path }) {
  const last = basename(path);
  const before = path.slice(0, path.length - last.length);
  return html`<bdi translate="no" class="path">
    ${before === "" ? null : html`<span class="muted">${visible(before)}</span>`}${visible(last)}
  </bdi>`;
}

/** A size; exact on hover (unless `hint` is false), in full words for a voice. */
export function Size({ bytes, hint = true }) {
  const { words } = useDesk();
  const { numbers } = words;
  return html`<span class="size" title=${bytes < 1024 || !hint ? null : numbers.bytes(bytes)}>
    <span aria-hidden="true">${numbers.size(bytes)}</span><span class="spoken">${numbers.spoken(bytes)}</span>
  </span>`;
}

/** A moment, in milliseconds; exact on hover (unless `hint` is false). `until` adds the year where it is another one. */
export function Time({ at, until = false, short = false, hint = true }) {
  const { numbers } = useDesk().words;
  const text = short ? numbers.time(at) : until ? numbers.until(at) : numbers.date(at);
  return html`<time datetime=${new Date(at).toISOString()} title=${hint ? numbers.exactDate(at) : null}>${text}</time>`;
}

/** A sentence of the tables; its holes take numbers, texts, {size}, {bytes}, {time}, {until} and {name}. */
export function Say({ of, with: values = {} }) {
  const { words } = useDesk();
  const filled = Object.fromEntries(Object.entries(values).map(([hole, value]) => [hole, element(value)]));
  return words.pieces(of, { ...filled, ...numbersOf(values) });
}

// Which of two sentences is decided by the number, so numbers stay numbers.
function numbersOf(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => typeof value === "number"));
}

function element(value) {
  if (value === null || typeof value !== "object") return value;
  if ("size" in value) return html`<${Size} bytes=${value.size} />`;
  if ("time" in value) return html`<${Time} at=${value.time} short />`;
  if ("until" in value) return html`<${Time} at=${value.until} until />`;
  if ("name" in value) return html`<${Name} name=${value.name} />`;
  return value;
}

/**
 * A button. One that cannot act now stays reachable (`aria-disabled`) and says why in `reason`, a key of words.
 */
export function Button({ onPress, icon, kind = "", enabled = true, reason = null, label, children, ...rest }) {
  const { words } = useDesk();
  const why = enabled || reason === null ? null : words.say(reason);
  return html`<button
    type="button"
    class=${`button ${kind}`}
    aria-disabled=${enabled ? null : "true"}
    aria-label=${label}
    title=${why ?? label}
    onClick=${(event) => enabled && onPress?.(event)}
    ...${rest}
  >
    ${icon ? html`<${Icon} name=${icon} />` : null}${children ? html`<span>${children}</span>` : null}
    ${why === null ? null : html`<span class="spoken"> (${why})</span>`}
  </button>`;
}

/** A button that copies a text and says so for two seconds. */
export function Copy({ text, label, children }) {
  const { desk, words } = useDesk();
  const [copied, set] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => set(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  const press = async () => {
    await desk.copy(text);
    set(true);
    desk.tell(words.say("act.copied"));
  };
  return html`<${Button} icon=${copied ? "check" : "copy"} kind="quiet" label=${label} onPress=${press}>
    ${copied ? words.say("act.copied") : (children ?? words.say("act.copy"))}
  <//>`;
}

/** A button that opens a menu. `items` are {text, icon, act, checked, danger} or null for a line. */
export function Menu({ label, icon, text, items, kind = "quiet", up = false, enabled = true, reason = null, named = null }) {
  const [open, set] = useState(false);
  const root = useRef(null);
  const close = (focus = true) => {
    set(false);
    if (focus) root.current?.querySelector("button")?.focus();
  };
  return html`<div class="menu" ref=${root}>
    <${Button}
      kind=${kind}
      icon=${icon}
      label=${label && (named ?? text) ? `${named ?? text} (${label})` : label}
      enabled=${enabled}
      reason=${reason}
      aria-haspopup="menu"
      aria-expanded=${String(open)}
      onPress=${() => set(!open)}
    >${text}<//>
    ${open ? html`<${MenuList} items=${items} close=${close} up=${up} label=${label ?? null} />` : null}
  </div>`;
}

/** The list of a menu: arrows move, Escape and a press elsewhere close it. */
export function MenuList({ items, close, up = false, at = null, label = null }) {
  const list = useRef(null);
  const shown = items.filter((item) => item !== false);
  useLayoutEffect(() => {
    const menu = list.current;
    if (at !== null) {
      const { innerWidth, innerHeight } = window;
      menu.style.left = `${Math.max(8, Math.min(at.x, innerWidth - menu.offsetWidth - 8))}px`;
      menu.style.top = `${Math.max(8, Math.min(at.y, innerHeight - menu.offsetHeight - 8))}px`;
    } else if (menu.getBoundingClientRect().left < 8) menu.classList.add("from-left");
    menu.querySelector("[role^=menuitem]")?.focus();
    const outside = (event) => !menu.parentElement.contains(event.target) && close(false);
    document.addEventListener("pointerdown", outside, true);
    return () => document.removeEventListener("pointerdown", outside, true);
  }, []);
  const keys = (event) => {
    const all = Array.from(list.current.querySelectorAll("[role^=menuitem]"));
    const here = all.indexOf(document.activeElement);
    const goes = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (goes !== undefined) all[(goes + all.length) % all.length]?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") close(false);
    else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };
  return html`<div
    role="menu" aria-label=${label} class=${`list${up ? " up" : ""}${at ? " free" : ""}`} ref=${list} onKeyDown=${keys}
  >
    ${shown.map((item) =>
      item === null
        ? html`<hr />`
        : html`<button
            type="button"
            role=${item.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked=${item.checked === undefined ? null : String(item.checked)}
            tabindex="-1"
            class=${`${item.danger ? "danger" : ""}${item.phone ? " phone-only" : ""}`}
            lang=${item.lang}
            onClick=${() => {
              close();
              item.act();
            }}
          >
            ${item.icon ? html`<${Icon} name=${item.icon} />` : null}<span>${item.text}</span>
            ${item.note ? html`<small>${item.note}</small>` : null}
            ${item.checked ? html`<${Icon} name="check" />` : null}
          </button>`,
    )}
  </div>`;
}

/** How far something is; the words of it for a voice in `text`. */
export function Progress({ part, whole, text, tone = "" }) {
  const { numbers } = useDesk().words;
  const share = whole > 0 ? Math.min(1, part / whole) : 1;
  const fill = useRef(null);
  useLayoutEffect(() => {
    fill.current.style.transform = `scaleX(${share})`;
  });
  return html`<div
    class=${`progress ${tone}`}
    role="progressbar"
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${Math.floor(share * 100)}
    aria-valuetext=${`${numbers.percent(part, whole)}, ${text}`}
    aria-label=${text}
  ><div ref=${fill}></div></div>`;
}
