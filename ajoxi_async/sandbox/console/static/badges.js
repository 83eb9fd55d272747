/** The counts beside the links of the side bar, by page: what is live, what failed, what was given up. */
import { count } from './format.js';
import { counts } from './store.js';
import { html, nothing } from './view.js';

const badge = (amount, words, tone = '') =>
  amount ? html`<span class="badge-count ${tone}">${count(amount)}<span class="hidden"> ${words}</span></span>` : nothing;

/** Calls that have not ended. @param {any} shown the answer of `GET counts` */
export const liveCalls = ({ calls_by_status: by }) => by.queued + by.ringing + by.answered;

/** Deliveries that fail or were given up. @param {any} shown */
export const troubledDeliveries = ({ deliveries_by_state: by }) => by.failing + by.dead;

/** @type {Record<string, (shown: any) => unknown>} */
export const badges = {
  calls: (shown) => badge(liveCalls(shown), 'live'),
  deliveries: (shown) => badge(troubledDeliveries(shown), 'failing or given up', 'bad'),
  faults: (shown) => badge(shown.faults, 'active', 'bad'),
};

/** The badge of a page. @param {string} page */
export const badgeOf = (page) => (counts.value === null ? nothing : (badges[page]?.(counts.value) ?? nothing));
