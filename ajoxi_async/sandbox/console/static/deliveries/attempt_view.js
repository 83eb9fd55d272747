/** One attempt of a delivery: what was posted, and what was answered, beside each other. */
import { latency } from '../base/format.js';
import { prettyBody } from '../widgets/json.js';
import { html, nothing } from '../base/view.js';

const headerRows = (headers) => Object.entries(headers).map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`);

const headerTable = (name, headers) => (Object.keys(headers).length
  ? html`<table class="header-table" aria-label=${name}><tbody>${headerRows(headers)}</tbody></table>` : nothing);

/**
 * @param {any} attempt
 * @param {string} body the bytes that were posted
 */
export const attemptView = (attempt, body) => html`
  <div class="both-sides">
    <section><h2>Posted</h2><p class="line-one"><code>POST ${attempt.url}</code></p>${headerTable('Request headers', attempt.request_headers)}
      <pre tabindex="0" role="region" aria-label="Request body">${prettyBody(body)}</pre></section>
    <section><h2>Answered</h2><p class="line-one">${attempt.status === null
      ? html`<strong>No answer</strong> <span>${attempt.error}</span>`
      : html`<strong>${attempt.status}</strong> <span class="quiet">after ${latency(attempt.latency)}</span>`}</p>
      ${headerTable('Answer headers', attempt.response_headers)}
      ${attempt.excerpt ? html`<pre tabindex="0" role="region" aria-label="Answer body">${prettyBody(attempt.excerpt)}</pre>` : html`<p class="quiet">The answer has no body.</p>`}</section>
  </div>`;
