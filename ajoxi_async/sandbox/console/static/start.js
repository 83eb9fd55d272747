/**
 * The first script: it takes the one-time code out of the address, asks for the first rows, then loads the console.
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
const LISTS = ['calls', 'deliveries', 'events', 'requests'];

/** One request, which tells whether there is a session as well. @type {Map<string, Promise<Response | null>>} */
const sent = new Map();
if (code === null) {
  const [world = 'main', page = '', id] = location.pathname.split('/').slice(3).filter(Boolean);
  const path = LISTS.includes(page) && id === undefined && location.search === '' ? `${page}?at=0&limit=40` : 'clock';
  const headers = world === 'main' ? {} : { 'X-Ajoxi-Key': world };
  sent.set(path, fetch(`/_ajoxi/${path}`, { headers, cache: 'no-store' }).catch(() => null));
}

// The choices are read while the other modules are on their way: the first access to local storage waits for another process.
const { followTheme } = await import('./base/preferences.js');
followTheme();
const { start } = await import('./app.js');
await start(code, sent);
