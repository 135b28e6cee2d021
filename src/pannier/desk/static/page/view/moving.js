// Where to move: the folders of the folder, one level at a time.

import { basename, join, parent } from "../names.js";
import { html, useDesk, useEffect, useState } from "./html.js";
import { Modal, Sending } from "./dialogs.js";
import { Icon, Name, Say } from "./parts.js";
import { Trouble } from "./trouble.js";

const MOST = 500;

export function MoveDialog({ dialog, close }) {
  const { desk, words } = useDesk();
  const { paths } = dialog;
  const [into, setInto] = useState(desk.directory);
  const [found, setFound] = useState({ folders: null, error: null });
  useEffect(() => {
    let gone = false;
    setFound({ folders: null, error: null });
    folders(desk, into).then(
      (list) => gone || setFound({ folders: list, error: null }),
      (error) => gone || setFound({ folders: [], error }),
    );
    return () => {
      gone = true;
    };
  }, [into]);
  const stays = paths.every((path) => parent(path) === into);
  const inside = paths.some((path) => into === path || into.startsWith(`${path}/`));
  const send = async () => {
    await desk.changes.move(paths, into);
    close();
  };
  const title =
    paths.length === 1
      ? html`<${Say} of="move.title-one" with=${{ name: { name: basename(paths[0]) } }} />`
      : html`<${Say} of="move.title" with=${{ n: paths.length }} />`;
  return html`<${Modal} title=${title} close=${close}>
    <${Sending} send=${send} close=${close} enabled=${!stays && !inside}
      text=${html`<${Say} of="move.to" with=${{ folder: { name: into === "" ? desk.folder.name : basename(into) } }} />`}>
      <p class="place-now"><${Name} name=${join(desk.folder.name, into)} folder /></p>
      <ul class="paths folders">
        ${into === ""
          ? null
          : html`<li><button type="button" class="pick" data-first onClick=${() => setInto(parent(into))}><${Icon} name="up" />
              <span>${words.say("act.to-parent")}</span></button></li>`}
        ${(found.folders ?? []).map(
          (name) => html`<li key=${name}><button type="button" class="pick" disabled=${paths.includes(join(into, name))}
            onClick=${() => setInto(join(into, name))}><${Icon} name="folder" /><${Name} name=${name} /></button></li>`,
        )}
        ${found.folders !== null && found.folders.length === 0 && found.error === null
          ? html`<li class="muted">${words.say("move.none")}</li>`
          : null}
      </ul>
      ${found.error === null ? null : html`<${Trouble} problem=${found.error} />`}
      <p><small>${inside ? words.say("error.move-into-itself") : words.say("move.note")}</small></p>
    <//>
  <//>`;
}

/** Names of the directories in a directory, at most MOST of them. */
async function folders(desk, directory) {
  const names = [];
  let cursor = null;
  do {
    const page = await desk.api.list(desk.folder.id, directory, cursor, 2000);
    for (const { name, kind } of page.items) if (kind === "directory") names.push(name);
    cursor = page.cursor;
  } while (cursor !== null && names.length < MOST);
  return names.sort(new Intl.Collator(desk.words.numbers.language, { numeric: true }).compare).slice(0, MOST);
}
