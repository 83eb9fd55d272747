/**
 * The address of what is shown: `/_ajoxi/console/{world}/{page}/{id}?query`.
 *
 * Rules:
 * 1. Path and query hold the page, filters, selection and tab, so that an address can be shared and reloaded.
 * 2. A click on a link to the console changes the page without a reload. A click with Ctrl, Shift or the middle button is left to
 *    the browser.
 * 3. A new page or object is a new entry of the history. Filters, selection and tab replace the present entry.
 */
import { signal } from './view.js';

export const BASE = '/_ajoxi/console/';

/**
 * @typedef {object} Route
 * @property {string} world `main`, or the id of a key
 * @property {string} page
 * @property {string | null} id
 * @property {URLSearchParams} query
 */

/** @type {import('../vendor/signals-core.js').Signal<Route>} */
export const route = signal(parse());

function parse() {
  const parts = location.pathname.slice(BASE.length).split('/').filter(Boolean).map(decoded);
  const [world = 'main', page = 'overview', id = null] = parts;
  return { world, page, id, query: new URLSearchParams(location.search) };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * The address of a page of the present world.
 *
 * @param {string} page
 * @param {string | null} [id]
 * @param {Record<string, string | number | null | undefined>} [query] empty values are left out
 */
export function address(page, id = null, query = {}) {
  const path = page === 'overview' ? '' : encodeURIComponent(page) + (id === null ? '' : `/${encodeURIComponent(id)}`);
  return BASE + `${encodeURIComponent(route.value.world)}/${path}${search(query)}`;
}

function search(query) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const text = new URLSearchParams(kept).toString();
  return text && `?${text}`;
}

/** Which page shows the object with an id of this prefix. */
const PAGE_OF = {
  call: 'calls', req: 'requests', dlv: 'deliveries', wh: 'webhooks', cmp: 'campaigns', num: 'numbers',
};

/** The address of the object with an id, or `null` if its prefix belongs to no page. @param {string} id */
export function addressOf(id) {
  const prefix = /^([a-z]+)_[\w.-]+$/.exec(id.trim())?.[1];
  return prefix !== undefined && PAGE_OF[prefix] !== undefined ? address(PAGE_OF[prefix], id.trim()) : null;
}

/**
 * Go to an address of the console.
 *
 * @param {string} href
 * @param {{replace?: boolean}} [options]
 */
export function go(href, { replace = false } = {}) {
  const target = new URL(href, location.href);
  if (target.href === location.href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', target.href);
  route.value = parse();
}

/**
 * Change parts of the query and keep the rest.
 *
 * @param {Record<string, string | null>} changes `null` or `''` removes a part
 */
export function setQuery(changes) {
  const query = { ...Object.fromEntries(route.value.query), ...changes };
  go(location.pathname + search(query), { replace: true });
}

addEventListener('popstate', () => {
  route.value = parse();
});

document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
  if (link === null || link.target || link.hasAttribute('download') || !link.pathname.startsWith(BASE)) return;
  if (link.origin !== location.origin || link.pathname.startsWith(`${BASE}static/`)) return;
  event.preventDefault();
  go(link.href);
});
