// The listing: a grid of rows of which only those in view are drawn.

import { inListing, read } from "../keys.js";
import { join, visible } from "../names.js";
import { MARGIN, drawn, elements, extent, reveal } from "../rows.js";
import { html, useDesk, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Button, Icon, MenuList, Name, Say, Size, Time, plain } from "./parts.js";
import { entryMenu } from "./menus.js";

const FAR = { margin: 2, settled: 120 }; // rows around the view while it jumps, and milliseconds until it stands
const COLUMNS = [
  ["name", "column.name"],
  ["size", "column.size"],
  ["modified", "column.modified"],
];

export function ListingView() {
  const { desk, words } = useDesk();
  const { listing, selection, directory } = desk;
  const grid = useRef(null);
  const sized = useRef(null);
  const [{ scroll, far }, setPosition] = useState({ scroll: 0, far: false });
  const [view, setView] = useState({ height: 600, row: 36 });
  const [menu, setMenu] = useState(null);
  const press = useRef(null);

  // the height of a row is the style sheet's; the room is the window's
  useLayoutEffect(() => {
    const measure = () => {
      const row = sized.current.getBoundingClientRect().height || 36;
      setView({ height: grid.current.clientHeight || 600, row });
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(grid.current);
    return () => watch.disconnect();
  }, []);

  useLayoutEffect(() => {
    grid.current.scrollTop = 0;
    setPosition({ scroll: 0, far: false });
  }, [listing]);

  // of a view that jumps what is in it is drawn at once, what is around it when it stands
  useEffect(() => {
    if (!far) return undefined;
    const timer = setTimeout(() => setPosition({ scroll, far: false }), FAR.settled);
    return () => clearTimeout(timer);
  }, [scroll, far]);
  const moved = () => {
    const { scrollTop } = grid.current;
    setPosition({ scroll: scrollTop, far: Math.abs(scrollTop - scroll) > view.height });
  };

  const total = listing.order.length;
  const at = Math.min(desk.picking.cursor, Math.max(0, total - 1));
  const { first, last, top } = drawn(scroll, view.height, total, view.row, far ? FAR.margin : MARGIN);
  const rows = [];
  for (let place = first; place < last; place += 1) rows.push(place);
  // the focused row is never taken out of the document while it scrolls away
  if (total > 0 && (at < first || at >= last)) rows.push(at);

  // the desk asks for the focus by counting up `focusing`
  useLayoutEffect(() => {
    const { picking } = desk;
    if (picking.focused === picking.focusing || total === 0) return;
    const to = reveal(at, grid.current.scrollTop, view.height, total, view.row);
    if (to !== null) {
      grid.current.scrollTop = to;
      moved();
    }
    const row = grid.current.querySelector(`[data-place="${at}"]`);
    if (row !== null) {
      picking.focused = picking.focusing;
      (row.querySelector(`[data-cell="${picking.cell}"]`) ?? row).focus({ preventScroll: true });
    }
  });

  const keys = (event) => {
    if (event.target.closest("[role=menu]")) return;
    const command = inListing(read(event));
    if (command === null) return;
    // a key acts on the row that has the focus, however it got there
    const focused = placeOf(event);
    if (focused !== null) desk.picking.cursor = focused;
    if (command.do === "menu") {
      const box = event.target.closest("[data-place]")?.getBoundingClientRect();
      if (box) setMenu({ x: box.left + 48, y: box.bottom, place: at });
    } else if (command.do === "toggle" && event.target.matches("button, a")) {
      return; // a button in a row is pressed by its own key
    } else if (command.do === "open" && event.target.matches("button, a")) {
      return;
    } else if (!desk.picking.command(command, Math.floor(view.height / view.row))) {
      return;
    }
    event.preventDefault();
  };

  const placeOf = (event) => {
    const row = event.target.closest("[data-place]");
    return row === null ? null : Number(row.dataset.place);
  };
  const click = (event) => {
    const place = placeOf(event);
    if (place === null || event.target.closest("[role=menu], .take-out, .more")) return;
    desk.picking.place(place);
    const opens = event.target.closest("a.entry");
    if (opens && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      desk.open(place);
      return;
    }
    event.preventDefault();
    if (event.shiftKey) desk.picking.extend(place);
    else desk.picking.toggle(place);
  };
  // exact sizes and times are written where somebody points: a listing that is scrolled has no time for them
  const hint = (event) => {
    const place = placeOf(event);
    if (place === null) return;
    const { size, time } = listing.at(listing.order[place]);
    const stamp = event.target.closest("time");
    if (stamp !== null) stamp.title = words.numbers.exactDate(time);
    const amount = event.target.closest("span.size span.size");
    if (amount !== null) amount.title = size < 1024 ? "" : words.numbers.bytes(size);
  };
  const openMenu = (event) => {
    const place = placeOf(event);
    if (place === null) return;
    event.preventDefault();
    desk.picking.place(place);
    setMenu({ x: event.clientX, y: event.clientY, place });
  };
  // a long press of a finger opens the menu of the row where the browser sends no contextmenu (Safari)
  const down = (event) => {
    if (event.pointerType !== "touch" || placeOf(event) === null) return;
    const { clientX, clientY } = event;
    const place = placeOf(event);
    press.current = setTimeout(() => setMenu({ x: clientX, y: clientY, place }), 550);
  };
  const up = () => clearTimeout(press.current);

  const cover = selection.cover(directory);
  const draw = useRows({ listing, selection, directory, cover, words, at, cell: desk.picking.cell });
  const entry = menu === null ? null : listing.at(listing.order[Math.min(menu.place, total - 1)]);
  return html`<div
    class="grid"
    role="grid"
    ref=${grid}
    aria-label=${plain(words, "list.label", { name: { name: desk.title } })}
    aria-multiselectable="true"
    aria-rowcount=${listing.done ? total + 1 : listing.total + 1}
    aria-colcount="4"
    aria-describedby="list-help"
    onKeyDown=${keys}
    onClick=${click}
    onContextMenu=${openMenu}
    onPointerDown=${down}
    onPointerUp=${up}
    onPointerCancel=${up}
    onPointerMove=${up}
    onPointerOver=${hint}
    onScroll=${moved}
  >
    <div class="row head" role="row" aria-rowindex="1">
      <span role="columnheader" class="box"><${AllBox} /></span>
      ${COLUMNS.map(
        ([key, text]) => html`<span
          role="columnheader"
          class=${key}
          aria-sort=${listing.sort.key === key ? (listing.sort.descending ? "descending" : "ascending") : "none"}
        >
          <button type="button" class="sort" onClick=${() => desk.sortBy(key)}>
            ${words.say(text)}${listing.sort.key === key
              ? html`<span class="arrow" aria-hidden="true">${listing.sort.descending ? "▼" : "▲"}</span>`
              : null}
          </button>
        </span>`,
      )}
      <span role="columnheader" class="tools"><span class="spoken">${words.say("column.tools")}</span></span>
    </div>
    <div class="rows" role="rowgroup" style=${{ height: `${extent(total, view.row)}px` }}>
      <div class="sized" ref=${sized} aria-hidden="true"></div>
      ${draw(rows, (place) => (place >= first && place < last ? top + (place - first) * view.row : place * view.row))}
    </div>
    ${menu === null || entry === null || entry.name === undefined
      ? null
      : html`<div class="menu anchor">
          <${MenuList}
            items=${entryMenu(desk, words, entry)}
            at=${menu}
            label=${plain(words, "row.more", { name: { name: entry.name } })}
            close=${(focus) => {
              setMenu(null);
              if (focus !== false) desk.picking.focusRow();
            }}
          />
        </div>`}
  </div>`;
}

/** The box of the header: everything that is shown, or nothing of it. */
function AllBox() {
  const { desk, words } = useDesk();
  const { listing, selection, directory } = desk;
  const here = selection.countIn(directory);
  const all = here > 0 && here >= listing.length && listing.query === "";
  const box = useRef(null);
  useEffect(() => {
    box.current.indeterminate = here > 0 && !all;
  });
  return html`<label class="hit"
    ><input
      type="checkbox"
      ref=${box}
      checked=${all}
      tabindex="-1"
      disabled=${listing.order.length === 0 || selection.cover(directory) !== null}
      aria-label=${words.say("list.all")}
      onClick=${(event) => {
        event.preventDefault();
        all ? desk.picking.unselectHere() : desk.picking.selectAll();
      }}
    /></label>`;
}

/**
 * Rows as they were drawn last: one that is as it was is given out again as the same element, which is not looked at
 * any more. So scrolling costs what comes into view, not what is in view.
 */
function useRows({ listing, selection, directory, cover, words, at, cell }) {
  const drawnRows = useRef(new Map());
  const used = useRef(new Map());
  return (places, topOf) => {
    const before = drawnRows.current;
    drawnRows.current = new Map();
    used.current = elements(used.current, places);
    return places.map((place) => rowAt(before, place, topOf(place)));
  };

  function rowAt(before, place, top) {
    const row = listing.order[place];
    const picked = cover !== null || selection.has(directory, listing.names[row]);
    const stop = place === at && cell === 0;
    const was = before.get(place);
    const key = used.current.get(place);
    const same = was !== undefined && was.listing === listing && was.row === row && was.picked === picked &&
      was.cover === cover && was.stop === stop && was.top === top && was.words === words && was.key === key;
    const element = same
      ? was.element
      : html`<${Row} key=${key} place=${place} entry=${listing.at(row)} top=${top} picked=${picked} stop=${stop} cover=${cover} />`;
    drawnRows.current.set(place, { listing, row, picked, cover, stop, top, words, key, element });
    return element;
  }
}

function Row({ place, entry, top, picked, stop, cover }) {
  const { desk, words } = useDesk();
  const { directory } = desk;
  const covered = cover !== null;
  const folder = entry.kind === "directory" || entry.leads === "directory";
  const line = useRef(null);
  useLayoutEffect(() => {
    line.current.style.transform = `translateY(${top}px)`;
  }, [top]);
  const label = rowLabel(words, entry, picked);
  return html`<div
    class=${`row${picked ? " picked" : ""}${covered ? " covered" : ""}`}
    role="row"
    ref=${line}
    tabindex=${stop ? "0" : "-1"}
    data-place=${place}
    data-name=${entry.name}
    data-drop=${folder ? join(directory, entry.name) : null}
    aria-rowindex=${place + 2}
    aria-selected=${String(picked)}
    aria-label=${label}
  >
    <span role="gridcell" class="box"
      ><label class="hit"
        ><input
          type="checkbox"
          checked=${picked}
          tabindex="-1"
          data-cell="1"
          aria-disabled=${covered ? "true" : null}
          aria-label=${plain(words, "row.select", { name: { name: entry.name } })} /></label
    ></span>
    <span role="rowheader" class="name-cell">
      <${Icon} name=${icon(entry)} />
      <span class="naming">
        <a class="entry" href=${desk.address(entry)} tabindex="-1" data-cell="2" draggable="false"
          ><${Name} name=${entry.name} cut folder=${entry.kind === "directory"}
        /></a>
        <${Note} entry=${entry} cover=${cover} />
        <small class="phone-only" aria-hidden="true">${folder || entry.size < 0
            ? words.say(`kind.${entry.kind}`)
            : words.numbers.size(entry.size)} · ${words.numbers.date(entry.time)}</small>
      </span>
    </span>
    <span role="gridcell" class="size">${entry.size < 0 || folder ? "—" : html`<${Size} bytes=${entry.size} hint=${false} />`}</span>
    <span role="gridcell" class="modified"><${Time} at=${entry.time} hint=${false} /></span>
    <span role="gridcell" class="tools"><${RowTools} entry=${entry} place=${place} /></span>
  </div>`;
}

function icon(entry) {
  if (entry.kind === "directory") return "folder";
  if (entry.kind === "link") return "link";
  if (entry.kind === "other") return "stop";
  return /\.(png|jpe?g|gif|webp|avif|heic)$/iu.test(entry.name) ? "image" : "file";
}

/** What stands behind a name: where a link leads, what brings a row along. */
function Note({ entry, cover }) {
  const { desk, words } = useDesk();
  if (cover !== null) {
    return html`<span class="note"
      ><${Say} of="row.included" with=${{ folder: { name: `${cover}/` } }} />${" "}
      <button
        type="button"
        class="take-out"
        tabindex="-1"
        onClick=${() => desk.picking.takeOut(cover)}
      ><${Say} of="row.take-out" with=${{ folder: { name: `${cover}/` } }} /></button
    ></span>`;
  }
  if (entry.kind === "other") return html`<span class="note">${words.say("why.special-file")}</span>`;
  if (entry.kind !== "link") return null;
  if (entry.leads === null) return html`<span class="note bad">${words.say("row.link-nowhere")}</span>`;
  return html`<span class="note">→ <${Name} name=${entry.target} folder=${entry.leads === "directory"} /></span>`;
}

function RowTools({ entry, place }) {
  const { desk, words } = useDesk();
  const [opened, set] = useState(null); // the element may draw another row by now
  const open = opened === place;
  return html`<span class="menu more">
    <${Button}
      kind="quiet bare"
      icon="more"
      label=${plain(words, "row.more", { name: { name: entry.name } })}
      tabindex="-1"
      data-cell="3"
      aria-haspopup="menu"
      aria-expanded=${String(open)}
      onPress=${() => {
        desk.picking.place(place);
        set(open ? null : place);
      }}
    />
    ${open
      ? html`<${MenuList}
          items=${entryMenu(desk, words, entry)}
          close=${(focus = true) => {
            set(null);
            if (focus) desk.picking.focusRow();
          }}
        />`
      : null}
  </span>`;
}

/** "photos, folder, selected": what a voice says of a row; its place is told by the grid. */
function rowLabel(words, entry, picked) {
  const { numbers } = words;
  const parts = [visible(entry.name), words.say(`kind.${entry.kind}`)];
  if (entry.size >= 0 && entry.kind === "file") parts.push(numbers.spoken(entry.size));
  if (picked) parts.push(words.say("row.selected"));
  return parts.join(", ");
}
