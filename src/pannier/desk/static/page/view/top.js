// The top bar: the mark, the folder, my links, activity, language, theme; and the strips under it.

import { visible } from "../names.js";
import { html, useDesk, useNow } from "./html.js";
import { Button, Icon, Menu, Name, Say } from "./parts.js";

export function Top() {
  const { desk, words } = useDesk();
  const running = desk.downloads.running;
  const folders = desk.folders.map((folder) => ({
    text: folder.name,
    checked: folder.id === desk.folder.id,
    act: () => desk.go(folder.id, ""),
  }));
  const other = words.numbers.language === "ko" ? "en" : "ko";
  const more = [
    { text: words.say("place.keyboard"), act: () => desk.show("help") },
    desk.writable && { text: words.say("place.trash"), act: () => desk.show("trash") },
    { text: words.say("theme.auto"), checked: desk.theme === "auto", act: () => desk.setTheme("auto") },
    { text: words.say("theme.light"), checked: desk.theme === "light", act: () => desk.setTheme("light") },
    { text: words.say("theme.dark"), checked: desk.theme === "dark", act: () => desk.setTheme("dark") },
    desk.signedIn && null,
    desk.signedIn && { text: words.say("act.sign-out"), icon: "key", act: () => desk.signOut() },
  ];
  return html`<header class="top">
    <a class="mark" href=${`${desk.api.base}/`} onClick=${(event) => desk.home(event)}>
      <${Icon} name="mark" /><span>Pannier</span>
    </a>
    ${folders.length > 1
      ? html`<${Menu} text=${html`<${Name} name=${desk.folder.name} cut />`} named=${visible(desk.folder.name)} label=${words.say("top.folders")} items=${folders} kind="quiet drop folder" />`
      : html`<span class="folder"><${Name} name=${desk.folder.name} cut /></span>`}
    <span class="space"></span>
    ${desk.shares
      ? html`<${Button} kind="quiet wide" icon="link" aria-pressed=${String(desk.panel === "links")}
          onPress=${() => desk.togglePanel("links")}>${words.say("place.links")}<//>`
      : null}
    <${Button} kind=${`quiet activity${running > 0 ? " on" : ""}`} icon="down" aria-pressed=${String(desk.activityOpen)}
      onPress=${() => desk.showActivity(!desk.activityOpen)}
      ><span class="wide-only">${words.say("place.activity")}</span>${running > 0 ? html` <b class="badge">${words.numbers.count(running)}</b>` : null}<//>
    <${Button} kind="quiet language" lang=${other} onPress=${() => desk.setLanguage(other)}>${other === "ko" ? "한국어" : "English"}<//>
    <${Button} kind="quiet bare theme" icon="theme" label=${words.say("theme.switch")} onPress=${() => desk.switchTheme()} />
    <${Menu} kind="quiet bare" icon="more" label=${words.say("top.more")} items=${[
      desk.shares && { text: words.say("place.links"), icon: "link", act: () => desk.show("links") },
      ...more,
    ]} />
  </header>`;
}

/** What holds for the whole page: open to all, offline, signed out. */
export function Strips() {
  const { desk, words } = useDesk();
  const { connection } = desk;
  const now = useNow(connection.state === "offline");
  return html`<div class="strips">
    ${desk.public
      ? html`<p class="strip public"><${Icon} name="warn" />${words.say("public.all")}</p>`
      : null}
    ${connection.state === "offline"
      ? html`<p class="strip offline"><${Icon} name="warn" /><span><${Say} of="error.offline"
            with=${{ time: { time: connection.since }, s: Math.max(0, Math.ceil((connection.next - now) / 1000)) }} /></span>
          <button type="button" class="text" onClick=${() => desk.connection.now()}>${words.say("act.try-now")}</button></p>`
      : null}
    ${connection.state === "signed-out"
      ? html`<p class="strip offline"><${Icon} name="key" /><span>${words.say("error.signed-out")}</span>
          <a class="text" href=${`${desk.api.base}/enter`} target="_blank" rel="opener">${words.say("act.sign-in")}</a></p>`
      : null}
    ${desk.stale > 0
      ? html`<p class="strip news"><span><${Say} of="list.changed" with=${{ n: desk.stale }} /></span>
          <button type="button" class="text" onClick=${() => desk.refresh()}>${words.say("act.show")}</button></p>`
      : null}
  </div>`;
}
