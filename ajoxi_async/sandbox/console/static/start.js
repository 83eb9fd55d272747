/**
 * The first script: it takes the one-time code out of the address, exchanges it or asks for the first rows, and loads the console.
 *
 * The code is in the fragment (`#code=…`), which browsers send to no server. It is removed from the address before anything else
 * is loaded, so that it is neither in the history nor visible to other scripts.
 */
const code = new URLSearchParams(location.hash.slice(1)).get('code');
if (code !== null) history.replaceState(null, '', location.pathname + location.search);

/**
 * The pages whose first rows are asked for, before the modules that show them are there; they are rows of `list/rows.js`. The answer
 * with the shell names the same rows, so that the browser asks for those of the world `main` even before it has this script.
 */
const LISTS = new Set(['calls', 'deliveries', 'events', 'requests']);

/**
 * The request that tells whether there is a session.
 *
 * @typedef {object} Sent
 * @property {string} path
 * @property {boolean} withCode whether it exchanges the code of the link for a session
 * @property {Promise<Response | null>} answer `null` if none came
 */

/** @returns {[string, RequestInit]} */
function firstRequest() {
  if (code !== null) {
    const headers = { 'X-Ajoxi-Console': '1', 'Content-Type': 'application/json' };
    return ['console/session', { method: 'POST', headers, body: JSON.stringify({ code }) }];
  }
  const [world = 'main', page = '', id] = location.pathname.split('/').slice(3).filter(Boolean);
  const path = LISTS.has(page) && id === undefined && location.search === '' ? `${page}?at=0&limit=40` : 'clock';
  return [path, { headers: world === 'main' ? {} : { 'X-Ajoxi-Key': world } }];
}

const [path, options] = firstRequest();
/** @type {Sent} */
const sent = { path, withCode: code !== null, answer: fetch(`/_ajoxi/${path}`, { ...options, cache: 'no-store' }).catch(() => null) };

// The choices are read while the other modules are on their way: the first access to local storage waits for another process.
const { followTheme } = await import('./base/preferences.js');
followTheme();
const { start } = await import('./app.js');
await start(sent);
