// The beginning: reads what the page holds for scripts, loads words and style, and takes the place of the plain page.

import { Desk } from "./desk.js";
import { App } from "./view/app.js";
import { html, render } from "./view/html.js";
import { holdIcons } from "./view/parts.js";

const meta = document.querySelector('meta[name="pannier"]');

async function table(language) {
  const response = await fetch(new URL(`./${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no words: ${response.status}`);
  return response.json();
}

function style() {
  const plain = Array.from(document.querySelectorAll('link[rel="stylesheet"]'));
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("./main.css", import.meta.url).href;
  const loaded = new Promise((resolve, reject) => {
    link.onload = () => resolve();
    link.onerror = () => reject(new Error("no style"));
  });
  document.head.append(link);
  return loaded.then(() => () => plain.forEach((each) => each.remove()));
}

async function begin() {
  const { base = "", csrf = "", look = null, signedIn, public: open } = meta.dataset;
  const [en, ko, restyle] = await Promise.all([table("en"), table("ko"), style()]);
  const desk = new Desk({ base, csrf, look, signedIn: signedIn === "true", public: open === "true" }, { en, ko });
  await desk.start();
  if (meta.content === "links") desk.show("links");
  const root = document.createElement("div");
  root.id = "page";
  restyle();
  document.body.className = "";
  document.body.replaceChildren(root);
  render(html`<${App} desk=${desk} />`, root);
  holdIcons();
}

// without a server or its words the plain page is what there is
begin().catch((error) => {
  document.body.className = "";
  console.error(error);
});
