/** Short tables: of a page's parts, and of its objects. Long lists are in `list.js`. */
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

const headOf = (name) => {
  const [text, kind = ''] = [name].flat();
  return html`<th scope="col" class=${kind}>${text || html`<span class="hidden">Actions</span>`}</th>`;
};

/**
 * The table of a page's objects, whose rows the page makes.
 *
 * @param {string} label what the table is called
 * @param {(string | [string, string])[]} names the headings, of numbers with `number`; that of a column of buttons is empty
 * @param {unknown} rows `tr` elements
 * @param {string} [kind] a class of the table
 */
export const objectTable = (label, names, rows, kind = '') => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${label}><table class="plain-table ${kind}">
    <thead><tr>${names.map(headOf)}</tr></thead><tbody>${rows}</tbody></table></div>`;
