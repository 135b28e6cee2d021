// The dialogs: names, places, links, requests, and what cannot be undone. One at a time.

import { basename, fault } from "../names.js";
import { html, useDesk, useLayoutEffect, useRef, useState } from "./html.js";
import { Button, Name, Say, plain } from "./parts.js";
import { MoveDialog } from "./moving.js";
import { RequestDialog, ShareDialog } from "./sharing.js";
import { Trouble } from "./trouble.js";

const KINDS = {
  mkdir: NewFolder, rename: Rename, move: MoveDialog, share: ShareDialog, request: RequestDialog, forever: Forever, revoke: Revoke,
};

export function Dialogs() {
  const { desk } = useDesk();
  const { dialog } = desk;
  if (dialog === null) return null;
  const Kind = KINDS[dialog.kind];
  return html`<${Kind} key=${dialog.kind} dialog=${dialog} close=${() => desk.ask(null)} />`;
}

/** A modal dialog: focus starts on `[data-first]` and goes back to where it came from. */
export function Modal({ title, close, children }) {
  const { desk, words } = useDesk();
  const element = useRef(null);
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const dialog = element.current;
    dialog.showModal();
    const first = dialog.querySelector("[data-first]");
    first?.focus();
    if (first?.matches("input[type=text]")) first.select();
    return () => {
      dialog.close();
      if (opener?.isConnected && opener !== document.body) opener.focus();
      else desk.picking.focusRow();
    };
  }, []);
  return html`<dialog
    ref=${element}
    aria-labelledby="dialog-title"
    onCancel=${(event) => {
      event.preventDefault();
      close();
    }}
    onKeyDown=${(event) => event.stopPropagation()}
  >
    <div class="inside">
      <div class="dialog-head"><h2 id="dialog-title">${title}</h2><span class="space"></span>
        <${Button} kind="quiet bare" icon="close" label=${words.say("act.close")} onPress=${close} /></div>
      ${children}
    </div>
  </dialog>`;
}

/** A form of a dialog: sends once, shows what the server refused where it stands. */
export function Sending({ send, close, text, kind = "primary", children, enabled = true }) {
  const { words } = useDesk();
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    if (busy || !enabled) return;
    setBusy(true);
    setError(null);
    try {
      await send();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  return html`<form class="plain" onSubmit=${submit} novalidate>
    ${children}
    ${error === null ? null : html`<${Trouble} problem=${error} />`}
    <div class="row-of-buttons">
      <${Button} onPress=${close}>${words.say("act.cancel")}<//>
      <button type="submit" class=${`button ${kind}`} aria-disabled=${enabled && !busy ? null : "true"}><span>${text}</span></button>
    </div>
  </form>`;
}

function NameField({ value, set, label, wrong }) {
  const { words } = useDesk();
  return html`<label class="field"><span>${label}</span>
    <input type="text" data-first value=${value} autocomplete="off" spellcheck=${false} aria-invalid=${wrong ? "true" : null}
      aria-describedby=${wrong ? "name-wrong" : null} onInput=${(event) => set(event.currentTarget.value)} />
    ${wrong ? html`<small class="wrong" id="name-wrong">${words.say(`error.${wrong}`)}</small>` : null}
  </label>`;
}

function NewFolder({ close }) {
  const { desk, words } = useDesk();
  const [name, set] = useState("");
  const wrong = name === "" ? null : fault(name);
  const send = async () => {
    await desk.changes.mkdir(name);
    close();
  };
  return html`<${Modal} title=${words.say("act.new-folder")} close=${close}>
    <${Sending} send=${send} close=${close} text=${words.say("act.make-folder")} enabled=${name !== "" && wrong === null}>
      <${NameField} value=${name} set=${set} label=${words.say("column.name")} wrong=${wrong} />
    <//>
  <//>`;
}

function Rename({ dialog, close }) {
  const { desk, words } = useDesk();
  const before = basename(dialog.path);
  const [name, set] = useState(before);
  const wrong = name === before ? null : fault(name);
  const send = async () => {
    if (name !== before) await desk.changes.rename(dialog.path, name);
    close();
  };
  return html`<${Modal} title=${html`<${Say} of="rename.title" with=${{ name: { name: before } }} />`} close=${close}>
    <${Sending} send=${send} close=${close} text=${words.say("act.rename")} enabled=${wrong === null && name !== before}>
      <${NameField} value=${name} set=${set} label=${words.say("column.name")} wrong=${wrong} />
    <//>
  <//>`;
}

function Confirm({ title, children, act, text, close }) {
  const { words } = useDesk();
  const [busy, set] = useState(false);
  return html`<${Modal} title=${title} close=${close}>
    ${children}
    <div class="row-of-buttons">
      <${Button} data-first onPress=${close}>${words.say("act.cancel")}<//>
      <${Button} kind="danger" enabled=${!busy} onPress=${async () => {
        set(true);
        await act();
        close();
      }}>${text}<//>
    </div>
  <//>`;
}

function Forever({ dialog, close }) {
  const { desk, words } = useDesk();
  const { deed } = dialog;
  const values = { n: deed.total };
  return html`<${Confirm} title=${words.say("forever.title", values)} close=${close} text=${words.say("forever.delete", values)}
    act=${() => desk.changes.forget(deed.id)}>
    <p>${words.say("forever.note")}</p>
    <ul class="paths">${deed.items.slice(0, 20).map(({ path }) => html`<li><${Name} name=${path} /></li>`)}</ul>
  <//>`;
}

function Revoke({ dialog, close }) {
  const { desk, words } = useDesk();
  const { link } = dialog;
  return html`<${Confirm} title=${words.say("revoke.title")} close=${close} text=${words.say("act.revoke")}
    act=${() => desk.offers.end("link", link.code)}>
    <p>${plain(words, "revoke.note", { n: link.running })}</p>
    <p class="muted"><${Name} name=${link.filename} /></p>
  <//>`;
}
