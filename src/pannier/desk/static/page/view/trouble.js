// An error where it arose: a sentence of ours by its type, the server's words under "Details", the request's number.

import { sentence } from "../problems.js";
import { html, useDesk } from "./html.js";
import { Say } from "./parts.js";

export function Trouble({ problem, inline = false, children }) {
  const { words } = useDesk();
  const { key, values } = sentence(problem, (candidate) => words.has(candidate));
  const request = problem.request ? html`<small class="request"><${Say} of="error.request" with=${{ id: problem.request }} /></small>` : null;
  if (inline) return html`<span class="trouble"><${Say} of=${key} with=${values} /> ${request}</span>`;
  return html`<div class="trouble boxed" role="alert">
    <p><${Say} of=${key} with=${values} /></p>
    ${problem.detail
      ? html`<details>
          <summary>${words.say("error.details")}</summary>
          <p class="detail">${problem.detail}</p>
          ${request}
        </details>`
      : request}
    ${children ? html`<div class="row-of-buttons">${children}</div>` : null}
  </div>`;
}
