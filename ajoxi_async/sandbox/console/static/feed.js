/** The page's end of the feed: through the shared worker, or by itself where a browser has none. */
import { pageOf } from './feed_source.js';

const WORKER = '/_ajoxi/console/static/feed_worker.js';

// The URL of a worker is a Trusted Types sink: this policy lets the path of our own worker through and nothing else.
const policy = globalThis.trustedTypes?.createPolicy('ajoxi', {
  createScriptURL(url) {
    if (url !== WORKER) throw new TypeError('not the console\'s own worker');
    return url;
  },
});

/**
 * Connect to the feed.
 *
 * @param {(message: any) => void} tell takes its messages
 * @returns {(message: object) => void} sends it a message, as `pageOf` takes them
 */
export function connect(tell) {
  const say = typeof SharedWorker === 'function' ? overWorker(tell) : pageOf(tell);
  document.addEventListener('visibilitychange', () => say({ hidden: document.hidden }));
  addEventListener('pagehide', () => say({ bye: true }));
  return say;
}

function overWorker(tell) {
  const url = policy ? policy.createScriptURL(WORKER) : WORKER;
  const worker = new SharedWorker(url, { type: 'module', name: 'ajoxi-console-feed' });
  const { port } = worker;
  let say = (message) => port.postMessage(message);
  const said = {};
  // A browser that does not run the worker: the page has a feed of its own.
  worker.addEventListener('error', () => {
    say = pageOf(tell);
    say(said);
  }, { once: true });
  port.addEventListener('message', ({ data }) => tell(data));
  port.start();
  return (message) => {
    Object.assign(said, message, { bye: false });
    say(message);
  };
}
