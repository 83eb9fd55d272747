/** The state of an object with its icon and word, for templates; `cells.js` has it for lists. */
import { stateOf } from './cells.js';
import { words } from './format.js';
import { icon } from './icons.js';
import { html } from './view.js';

/** @param {string} name @param {string} [shown] */
export function stateBadge(name, shown = words(name)) {
  const [drawn, tone] = stateOf(name);
  return html`<span class="badge ${tone}">${icon(drawn)}${shown}</span>`;
}
