/** The side bar: the pages with their counts (what is live, what failed, what was given up), and the state of the connection. */
import { count } from '../base/format.js';
import { address, BASE, route } from '../base/router.js';
import { run, tooltip } from '../base/shortcuts.js';
import { html, nothing, signal } from '../base/view.js';
import { connection, counts } from '../feed/store.js';
import { PAGES } from '../pages.js';
import { icon } from '../widgets/icons.js';

/** Whether the side bar is open on a narrow page. */
export const menuOpen = signal(false);

const badge = (amount, words, tone = '') =>
  amount ? html`<span class="badge-count ${tone}">${count(amount)}<span class="hidden"> ${words}</span></span>` : nothing;

/** Calls that have not ended. @param {any} shown the answer of `GET counts` */
export const liveCalls = ({ calls_by_status: by }) => by.queued + by.ringing + by.answered;

/** Deliveries that fail or were given up. @param {any} shown */
export const troubledDeliveries = ({ deliveries_by_state: by }) => by.failing + by.dead;

/** @type {Record<string, (shown: any) => unknown>} */
const badges = {
  calls: (shown) => badge(liveCalls(shown), 'live'),
  deliveries: (shown) => badge(troubledDeliveries(shown), 'failing or given up', 'bad'),
  faults: (shown) => badge(shown.faults, 'active', 'bad'),
};

/** The badge of a page. @param {string} page */
const badgeOf = (page) => (counts.value === null ? nothing : (badges[page]?.(counts.value) ?? nothing));

/** The same drawing as the icon of the shell. */
const logo = html`<svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true"><rect width="32" height="32" rx="8" fill="#4453d6"></rect>
  <path d="M9 12v8M13.7 8v16M18.3 11v10M23 14v4" stroke="#fff" stroke-width="2.6" stroke-linecap="round"></path></svg>`;

function pageLink(page, current) {
  return html`<li><a href=${address(page.name)} aria-current=${page.name === current ? 'page' : nothing} title=${tooltip(`go.${page.name}`)}>
    ${icon(page.name)}<span class="label">${page.title}</span>${badgeOf(page.name)}</a></li>`;
}

/** The side bar as a template. */
export function sideBar() {
  const current = route.value.page;
  const groups = [...new Set(PAGES.map((page) => page.group))];
  return html`
    <div class="brand">
      <button class="plain menu" aria-label="Menu" aria-expanded=${menuOpen.value} aria-controls="pages" @click=${() => {
        menuOpen.value = !menuOpen.value;
      }}>${icon('menu')}</button>
      <a href=${address('overview')} class="logo" aria-label="Ajoxi sandbox, overview">${logo}<span>Ajoxi <em>sandbox</em></span></a>
    </div>
    ${route.value.world === 'main' ? nothing : html`<p class="world"><span class="mono">${route.value.world}</span> <a href=${`${BASE}main/`}>Leave</a></p>`}
    <div id="pages" class="pages ${menuOpen.value ? 'open' : ''}">
      ${groups.map((group) => html`<h2 class="quiet">${group}</h2>
        <ul>${PAGES.filter((page) => page.group === group).map((page) => pageLink(page, current))}</ul>`)}
      <div class="side-foot">
        ${connectionState()}
        <div class="row">
          ${['palette', 'theme', 'help'].map((id) => html`<button class="plain" aria-label=${tooltip(id)} title=${tooltip(id)}
            @click=${() => run(id)}>${icon(id === 'palette' ? 'search' : id)}</button>`)}
        </div>
      </div>
    </div>`;
}

const STATES = {
  live: ['dot', 'Live'],
  connecting: ['ring', 'Connecting…'],
  lost: ['alert', 'Connection lost'],
};

function connectionState() {
  const [name, text] = STATES[connection.value];
  return html`<p class="connection ${connection.value}" role="status">${icon(name)}<span class="label">${text}</span></p>`;
}
