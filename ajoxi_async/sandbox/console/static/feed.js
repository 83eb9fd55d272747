/**
 * The page's end of the stream of changes: through the shared worker, or by itself where a browser has none.
 */
import { follow } from './feed_source.js';

const WORKER = '/_ajoxi/console/static/feed_worker.js';

// The URL of a worker is a Trusted Types sink: this policy lets the path of our own worker through and nothing else.
const policy = globalThis.trustedTypes?.createPolicy('ajoxi', {
  createScriptURL(url) {
    if (url !== WORKER) throw new TypeError('not the console\'s own worker');
    return url;
  },
});

/**
 * Connect to the stream of changes.
 *
 * @param {(message: {kind: 'open' | 'lost' | 'closed' | 'changes', data?: string}) => void} tell
 * @returns {{follow: (world: string) => void, retry: () => void}}
 */
export function connect(tell) {
  const link = typeof SharedWorker === 'function' ? overWorker(tell) : inPage(tell);
  document.addEventListener('visibilitychange', () => link.hidden(document.hidden));
  return link;
}

function overWorker(tell) {
  const url = policy ? policy.createScriptURL(WORKER) : WORKER;
  const { port } = new SharedWorker(url, { type: 'module', name: 'ajoxi-console-feed' });
  let world = null;
  port.addEventListener('message', ({ data }) => tell(data));
  port.start();
  const follow = (chosen) => {
    world = chosen;
    port.postMessage({ world, hidden: document.hidden });
  };
  // A page that the browser keeps for the back button follows again when it is shown.
  addEventListener('pagehide', () => port.postMessage({ bye: true }));
  addEventListener('pageshow', (event) => {
    if (event.persisted && world !== null) follow(world);
  });
  return {
    follow,
    hidden: (hidden) => port.postMessage({ hidden }),
    retry: () => port.postMessage({ retry: true }),
  };
}

function inPage(tell) {
  const follower = { hidden: document.hidden, tell };
  let following = null;
  return {
    follow(world) {
      following?.stop();
      following = follow(world, follower);
    },
    hidden(hidden) {
      follower.hidden = hidden;
      following?.settle();
    },
    retry: () => following?.settle(),
  };
}
