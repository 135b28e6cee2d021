// Pages of people who are not signed in, made better where scripts run: moments by the reader's clock, passwords that can
// be shown, lines that can be copied. Without this they are complete.

import { Numbers } from "./numbers.js";

const numbers = new Numbers(document.documentElement.lang === "ko" ? "ko" : "en");

/** "until Nov 29, 14:05 (in 7 days)" instead of the same in UTC. */
function tellMoments(within, now = Date.now()) {
  for (const moment of within.querySelectorAll("time[data-said]")) {
    const at = Date.parse(moment.dateTime);
    const left = numbers.duration(Math.max(0, (at - now) / 1000));
    moment.title = numbers.exactDate(at);
    moment.textContent = moment.dataset.said.replace("{time}", numbers.until(at, now)).replace("{left}", left);
  }
}

function reveal(button) {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  button.addEventListener("click", () => {
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    field.focus();
  });
  button.hidden = false;
}

function copy(button) {
  if (navigator.clipboard === undefined) return; // only secure addresses have one
  const words = button.textContent;
  let timer = 0;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = button.dataset.copied;
    clearTimeout(timer);
    timer = setTimeout(() => (button.textContent = words), 2000);
  });
  button.hidden = false;
}

tellMoments(document);
document.querySelectorAll("button.reveal").forEach(reveal);
document.querySelectorAll("button.copy").forEach(copy);
