/**
 * The first script: it takes the one-time code out of the address, then loads the console.
 *
 * The code is in the fragment (`#code=…`), which browsers send to no server. It is removed from the address before anything else
 * is loaded, so that it is neither in the history nor visible to other scripts.
 */
const code = new URLSearchParams(location.hash.slice(1)).get('code');
if (code !== null) history.replaceState(null, '', location.pathname + location.search);

const { start } = await import('./app.js');
await start(code);
