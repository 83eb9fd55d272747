/** Two attempts of a delivery beside each other: what changed between them; what did not is folded away. */
import { folded, lineDiff, namedDiff } from '../widgets/diff.js';
import { counted, fullTime, latency } from '../base/format.js';
import { prettyBody } from '../widgets/json.js';
import { html, nothing } from '../base/view.js';

const facts = (attempt) => ({
  At: fullTime(attempt.at),
  Round: String(attempt.round),
  Attempt: String(attempt.number),
  To: attempt.url,
  Status: attempt.status === null ? 'no answer' : String(attempt.status),
  Latency: latency(attempt.latency),
  ...(attempt.error ? { Error: attempt.error } : {}),
});

/**
 * @param {any} before
 * @param {any} after
 * @param {string} body the bytes that both posted
 */
export const attemptsDiff = (before, after, body) => html`
  <div class="diff" role="region" aria-label="What changed" tabindex="0">
    <table>
      <thead><tr><th scope="col"><span class="hidden">What</span></th><th scope="col">Attempt ${before.round}.${before.number}</th>
        <th scope="col">Attempt ${after.round}.${after.number}</th></tr></thead>
      ${namedRows('Attempt', facts(before), facts(after))}
      ${namedRows('Request headers', before.request_headers, after.request_headers)}
      ${bodyRows(body)}
      ${namedRows('Answer headers', before.response_headers, after.response_headers)}
    </table>
    ${textRows('Answer', before.excerpt, after.excerpt)}
  </div>`;

function namedRows(title, before, after) {
  const rows = namedDiff(before, after);
  if (rows.length === 0) return nothing;
  const changed = rows.filter((row) => !row.same);
  const same = rows.filter((row) => row.same);
  return html`
    <tbody><tr class="part"><th colspan="3" scope="rowgroup">${title}</th></tr>
      ${changed.map((row) => html`<tr class="changed"><th scope="row">${row.name}</th>
        <td class="removed">${row.before ?? html`<span class="quiet">not sent</span>`}</td>
        <td class="added">${row.after ?? html`<span class="quiet">not sent</span>`}</td></tr>`)}
      ${same.length ? fold(counted(same.length, 'row'), html`<dl>${same.map((row) => html`<dt>${row.name}</dt><dd>${row.before}</dd>`)}</dl>`) : nothing}
    </tbody>`;
}

const bodyRows = (body) => html`
  <tbody><tr class="part"><th colspan="3" scope="rowgroup">Body</th></tr>
    ${fold(counted(new TextEncoder().encode(body).length, 'byte'), html`<pre>${prettyBody(body)}</pre>`)}</tbody>`;

const fold = (amount, inside) => html`
  <tr class="fold"><td colspan="3"><details><summary>${amount} the same</summary>${inside}</details></td></tr>`;

function textRows(title, before, after) {
  if (!before && !after) return nothing;
  const runs = folded(lineDiff(prettyBody(before), prettyBody(after)), (row) => row.kind === 'same', 2);
  const line = (row) => html`<div class="diff-line ${row.kind}"><span class="sign">${SIGNS[row.kind]}</span>${row.text}</div>`;
  return html`<h2>${title}</h2><div class="diff-lines">${runs.map((run) => (run.folded
    ? html`<details><summary>${counted(run.rows.length, 'line')} the same</summary>${run.rows.map(line)}</details>`
    : run.rows.map(line)))}</div>`;
}

const SIGNS = { same: ' ', removed: '−', added: '+' };
