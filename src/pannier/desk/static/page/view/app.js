// The whole page: top bar, strips, activity, the listing or what stands in its place, panel, bar, tray, dialog.

import { request } from "../asks.js";
import { chosen, dropped } from "../dropping.js";
import { parent } from "../names.js";
import { Activity } from "./activity.js";
import { Bar } from "./bar.js";
import { Details } from "./details.js";
import { Dialogs } from "./dialogs.js";
import { Help } from "./help.js";
import { Provider, html, useDesk, useEffect, useMemo, useRef, useState, useTicks } from "./html.js";
import { Links } from "./links.js";
import { ListingView } from "./listing.js";
import { Notice } from "./notice.js";
import { Button, Icon, Menu, Name, Say, plain } from "./parts.js";
import { Preview } from "./preview.js";
import { Strips, Top } from "./top.js";
import { Trash } from "./trash.js";
import { Tray } from "./tray.js";
import { Trouble } from "./trouble.js";

const PANELS = { details: Details, preview: Preview, links: Links, trash: Trash, help: Help };

export function App({ desk }) {
  const [, redraw] = useState(0);
  useEffect(() => desk.subscribe(() => redraw((n) => n + 1)), []);
  const { words } = desk;
  const shared = useMemo(() => ({ desk, words }), [words]);
  useTitle(desk);
  const Shown = PANELS[desk.panel] ?? null;
  const keys = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && desk.planner.download()) event.preventDefault();
  };
  return html`<${Provider} value=${shared}>
    <div class=${`app${desk.bar.picked > 0 ? " picks" : ""}`} onKeyDown=${keys}>
      <a class="skip" href="#main" onClick=${(event) => {
        event.preventDefault();
        desk.picking.focusRow();
      }}>${words.say("skip")}</a>
      <${Top} />
      <${Strips} />
      ${desk.activityOpen ? html`<${Activity} />` : null}
      <${Place} />
      ${Shown === null ? null : html`<${Shown} key=${desk.panel} />`}
      <${Bar} />
      <${Dialogs} />
      <div class="spoken" role="status">${desk.status}</div>
      <div class="spoken" role="alert">${desk.alarm}</div>
    </div>
  <//>`;
}

/** "2026 · trip · Pannier", with the progress of a running download in front. */
function useTitle(desk) {
  const parts = [desk.title];
  if (desk.directory !== "") parts.push(desk.folder.name);
  const percent = desk.downloads.percent;
  if (percent !== null) parts.unshift(`${percent} %`);
  const title = [...parts, "Pannier"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}

function Place() {
  const { desk, words } = useDesk();
  const over = useDrop(desk);
  const { listing } = desk;
  const hasRows = listing.order.length > 0;
  return html`<main id="main" ...${over.events}>
    <div class="path-line">
      <${Crumbs} />
      <${Filter} key=${`${desk.folder.id}/${desk.directory}`} />
      ${desk.writable ? html`<${Adding} />` : null}
    </div>
    ${hasRows && listing.error === null ? html`<${ListingView} />` : html`<${Instead} />`}
    <div class="under"><${Count} /><span id="list-help" class="spoken">${words.say("list.help")}</span></div>
    ${over.into === null
      ? null
      : html`<div class="drop-hint"><p><${Say} of="upload.drop" with=${{ folder: { name: over.into } }} /></p></div>`}
    <div class="floats"><${Notice} /><${Tray} /></div>
  </main>`;
}

function Crumbs() {
  const { desk, words } = useDesk();
  const parts = desk.directory === "" ? [] : desk.directory.split("/");
  const link = (directory, name) => html`<li>
    <a href=${desk.api.place(desk.folder.id, directory)} onClick=${(event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      desk.go(desk.folder.id, directory);
    }}><${Name} name=${name} cut /></a>
  </li>`;
  return html`<nav class="crumbs" aria-label=${words.say("place.path")}>
    <ol>
      ${parts.length > 0 ? link("", desk.folder.name) : null}
      ${parts.slice(0, -1).map((name, i) => link(parts.slice(0, i + 1).join("/"), name))}
      <li><h1><${Name} name=${desk.title} cut /></h1></li>
    </ol>
  </nav>`;
}

function Filter() {
  const { desk, words } = useDesk();
  const field = useRef(null);
  const keys = (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      desk.picking.place(0);
      desk.picking.focusRow();
    } else if (event.key === "Escape" && field.current.value !== "") {
      event.preventDefault();
      field.current.value = "";
      desk.filter("");
    }
  };
  useEffect(() => {
    // "Clear filter" and Escape empty the field; what is being typed is never touched
    if (desk.listing.query !== field.current.value && document.activeElement !== field.current) field.current.value = desk.listing.query;
  });
  return html`<div class="filter" role="search">
    <${Icon} name="search" />
    <input id="filter" type="search" ref=${field} autocomplete="off" spellcheck=${false} enterkeyhint="search"
      placeholder=${words.say("filter")} aria-label=${words.say("filter")}
      onInput=${(event) => desk.filter(event.currentTarget.value)} onKeyDown=${keys} />
  </div>`;
}

/** New folder, Upload: files or folders, or a file request for this place. */
function Adding() {
  const { desk, words } = useDesk();
  const files = useRef(null);
  const folders = useRef(null);
  const take = (event) => {
    const found = chosen(event.currentTarget.files);
    desk.uploads.add(found.files, desk.directory);
    event.currentTarget.value = "";
  };
  return html`
    <${Button} kind="new-folder" icon="folder" onPress=${() => desk.ask({ kind: "mkdir" })}>${words.say("act.new-folder")}<//>
    <${Menu} kind="upload-menu" icon="upload" text=${words.say("act.upload")} items=${[
      { text: words.say("act.files"), icon: "file", act: () => files.current.click() },
      { text: words.say("act.folder"), icon: "folder", act: () => folders.current.click() },
      { text: words.say("act.new-folder"), icon: "folder", act: () => desk.ask({ kind: "mkdir" }), phone: true },
      desk.shares && null,
      desk.shares && { text: words.say("act.new-request"), icon: "link", act: () => request(desk, null) },
    ]} />
    <input type="file" multiple hidden ref=${files} onChange=${take} data-testid="files" />
    <input type="file" webkitdirectory hidden ref=${folders} onChange=${take} data-testid="folder" />
  `;
}

/** What stands where there are no rows: nothing yet, nothing here, no match, or an error. */
function Instead() {
  const { desk, words } = useDesk();
  const { listing } = desk;
  const [now, set] = useState(Date.now());
  useTicks(() => set(Date.now()), 500, !listing.done && listing.error === null);
  if (listing.error !== null) {
    return html`<div class="place-of-list">
      <${Trouble} problem=${{ ...listing.error, name: desk.here, status: listing.error.status }}>
        <${Button} kind="primary" onPress=${() => desk.load("", true)}>${words.say("act.retry")}<//>
        ${parent(desk.directory) === null ? null : html`<${Button} onPress=${() => desk.up()}>${words.say("act.to-parent")}<//>`}
      <//>
    </div>`;
  }
  if (!listing.done) {
    const seconds = Math.floor((now - listing.began) / 1000);
    return html`<div class="place-of-list"><p class="muted">${seconds < 1 ? "" : html`<${Say} of="list.asking" with=${{ s: seconds }} />`}</p></div>`;
  }
  if (listing.query !== "") {
    const hidden = desk.selection.countIn(desk.directory);
    return html`<div class="place-of-list">
      <${Icon} name="search" />
      <p><${Say} of="list.no-match" with=${{ text: listing.query }} /></p>
      ${hidden > 0 ? html`<p class="muted"><${Say} of="list.hidden" with=${{ n: hidden }} /></p>` : null}
      <${Button} onPress=${() => desk.filter("")}>${words.say("act.clear-filter")}<//>
    </div>`;
  }
  return html`<div class="place-of-list">
    <${Icon} name="mark" />
    <p>${words.say("list.empty")}</p>
    ${desk.writable ? html`<p class="muted">${words.say("list.drop-here")}</p>` : null}
  </div>`;
}

/** "5 entries here · 3 of your selection here, 1 elsewhere". */
function Count() {
  const { desk, words } = useDesk();
  const { listing, selection, directory } = desk;
  const parts = [];
  if (!listing.done && listing.error === null) {
    if (listing.length > 0) parts.push(["list.arriving", { n: listing.length, m: listing.total }]);
  } else if (listing.error !== null) return null;
  else if (listing.query !== "") parts.push(["list.match", { n: listing.order.length, m: listing.total }]);
  else parts.push([listing.total > 1000 ? "list.entries-many" : "list.entries", { n: listing.total }]);
  const here = selection.countIn(directory);
  const elsewhere = selection.count - (selection.cover(directory) === null ? here : 0);
  if (elsewhere > 0 && here > 0) parts.push(["list.picked-here", { n: here, m: elsewhere }]);
  else if (elsewhere > 0) parts.push(["list.picked-elsewhere", { n: elsewhere }]);
  if (listing.query !== "" && here > 0) {
    const shown = Array.from(listing.order).reduce((n, row) => n + (selection.has(directory, listing.names[row]) ? 1 : 0), 0);
    if (here > shown) parts.push(["list.hidden", { n: here - shown }]);
  }
  return html`<span>${parts.map(([key, values], i) => html`${i > 0 ? " · " : ""}${plain(words, key, values)}`)}</span>`;
}

/** The whole place takes drops; a folder under the pointer takes them itself. */
function useDrop(desk) {
  const [into, set] = useState(null);
  const marked = useRef(null);
  if (!desk.writable) return { into: null, events: {} };
  const target = (event) => event.target.closest?.("[data-drop]")?.dataset.drop ?? desk.directory;
  const named = (directory) => (directory === "" ? desk.folder.name : `${desk.folder.name}/${directory}`);
  const mark = (row) => {
    if (marked.current === row) return;
    marked.current?.classList.remove("target");
    row?.classList.add("target");
    marked.current = row;
  };
  const has = (event) => Array.from(event.dataTransfer?.types ?? []).includes("Files");
  return {
    into,
    events: {
      onDragOver: (event) => {
        if (!has(event)) return;
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
        mark(event.target.closest?.("[data-drop]") ?? null);
        set(named(target(event)));
      },
      onDragLeave: (event) => {
        if (event.relatedTarget !== null && event.currentTarget.contains(event.relatedTarget)) return;
        mark(null);
        set(null);
      },
      onDrop: async (event) => {
        if (!has(event)) return;
        event.preventDefault();
        const directory = target(event);
        mark(null);
        set(null);
        const found = await dropped(event.dataTransfer);
        await desk.uploads.add(found.files, directory, found.directories);
      },
    },
  };
}
