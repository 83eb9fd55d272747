/** The counts beside the links of the side bar, by page: what is live, what failed, what was given up. */
import { html, nothing } from './view.js';
import { count } from './format.js';
import { counts } from './counts.js';

const badge = (amount, words, tone = '') =>
  amount ? html`<span class="badge-count ${tone}">${count(amount)}<span class="hidden"> ${words}</span></span>` : nothing;

/** @type {Record<string, () => unknown>} */
export const badges = {
  calls: () => badge(counts.value.live, 'live'),
  deliveries: () => badge(counts.value.dead + counts.value.failing, 'failing or given up', 'bad'),
};
