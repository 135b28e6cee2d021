// The beginning: reads what the page holds for scripts, loads the words, and puts the page in place of the plain one.

import { Desk } from "./desk.js";
import { App } from "./view/app.js";
import { html, render } from "./view/html.js";

const meta = document.querySelector('meta[name="pannier"]');

async function table(language) {
  const response = await fetch(new URL(`./${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no words: ${response.status}`);
  return response.json();
}

async function begin() {
  const { base = "", csrf = "", signedIn, public: open } = meta.dataset;
  const [en, ko] = await Promise.all([table("en"), table("ko")]);
  const desk = new Desk({ base, csrf, signedIn: signedIn === "true", public: open === "true" }, { en, ko });
  await desk.start();
  if (meta.content === "links") desk.show("links");
  const root = document.createElement("div");
  root.id = "page";
  document.body.replaceChildren(root); // the plain page stays until there is a better one
  render(html`<${App} desk=${desk} />`, root);
}

await begin();
