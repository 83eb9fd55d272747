/** Shares of a whole as a bar of one row: each part has its colour, and its words beside it. */
import { count } from '../base/format.js';
import { html, nothing, svg } from '../base/view.js';

/**
 * @param {object} about
 * @param {string} about.label what the bar shows, in words
 * @param {{name: string, tone: string, amount: number, href?: string}[]} about.parts
 * @param {number} [about.total] the whole; the sum of the parts unless given
 */
export function shareBar({ label, parts, total = parts.reduce((sum, part) => sum + part.amount, 0) }) {
  const shown = parts.filter((part) => part.amount > 0);
  let begin = 0;
  const pieces = shown.map((part) => {
    const width = total > 0 ? (part.amount / total) * 100 : 0;
    begin += width;
    return svg`<rect class="share ${part.tone}" x=${`${begin - width}%`} width=${`${width}%`} height="12"></rect>`;
  });
  return html`
    <div class="shares">
      <svg class="share-bar" role="img" aria-label=${label} width="100%" height="12"><rect class="share rest" width="100%" height="12"></rect>${pieces}</svg>
      <ul class="share-names">${shown.map((part) => html`<li><span class="swatch ${part.tone}"></span>${part.href
        ? html`<a href=${part.href}>${part.name}</a>` : part.name} <strong>${count(part.amount)}</strong></li>`)}
        ${shown.length === 0 ? html`<li class="quiet">nothing yet</li>` : nothing}</ul>
    </div>`;
}
