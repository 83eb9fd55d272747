/** Short tables of a page's parts. Long lists are in `list.js`. */
import { html, nothing } from '../base/view.js';

/**
 * A table, or a sentence where it has no rows.
 *
 * @param {string} label what the table is called
 * @param {[string, (row: any) => unknown][]} columns a heading and what a row shows under it
 * @param {any[]} rows
 * @param {unknown} none what is shown without rows
 */
export function table(label, columns, rows, none) {
  if (rows.length === 0) return html`<p class="quiet none">${none}</p>`;
  return html`
    <div class="table" role="group" tabindex="0" aria-label=${label}>
      <table><caption class="hidden">${label}</caption>
        <thead><tr>${columns.map(([name]) => html`<th scope="col">${name || html`<span class="hidden">Actions</span>`}</th>`)}</tr></thead>
        <tbody>${rows.map((row) => html`<tr>${columns.map(([, cell]) => html`<td>${cell(row) ?? nothing}</td>`)}</tr>`)}</tbody>
      </table>
    </div>`;
}
