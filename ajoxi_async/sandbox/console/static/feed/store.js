/**
 * What the pages share: the connection, the world's clock and counts, and the views and transcripts that they follow.
 *
 * Rules:
 * 1. A view is the path of a GET; whoever follows it is given its whole answer, and again whenever it has changed.
 * 2. The world's time between two messages is computed from the speed of its clock, so that all times on a page go on together.
 */
import { get, signedIn } from '../base/api.js';
import { route } from '../base/router.js';
import { effect, signal } from '../base/view.js';

/** `connecting`, `live`, or `lost`. */
export const connection = signal('connecting');

/** Why the connection was lost, in a sentence; empty while it is not. */
export const trouble = signal('');

/**
 * The clock of the world as `GET clock` shows it, and its moment in milliseconds as `at`; `null` until it is known.
 *
 * @type {import('../vendor/signals-core.js').Signal<any>}
 */
export const clock = signal(null);

/** The counts of the world as `GET counts` shows them; `null` until they are known. @type {import('../vendor/signals-core.js').Signal<any>} */
export const counts = signal(null);

/** The world's present moment, in milliseconds since the epoch, renewed a few times a second while the page is visible. */
export const moment = signal(0);

/** Another number when the world was reset or rewound; `null` until it is known. */
export const epoch = signal(/** @type {number | null} */ (null));

const WORKER = '/_ajoxi/console/static/feed/source.js';

// The URL of a worker is a Trusted Types sink: this policy lets the path of our own worker through and nothing else.
const policy = globalThis.trustedTypes?.createPolicy('ajoxi', {
  createScriptURL(url) {
    if (url !== WORKER) throw new TypeError('not the console\'s own worker');
    return url;
  },
});

/** @typedef {{acts: Set<(news: any) => void>, answer: any}} Followed */
/** @type {Map<string, Followed>} */
const views = new Map();
/** @type {Map<string, Followed>} */
const transcripts = new Map();

let world = null;
let sending = 0;
/** What a page began to follow since the feed was told. The page before may have followed it too, and has taken its answer with it. */
let begun = new Set();

const say = connect((message) => {
  if (message.kind === 'state' || message.kind === 'known') take(message);
  else lost(message.kind);
});

function sendSoon() {
  sending ||= setTimeout(() => {
    sending = 0;
    if (world === null) return;
    say({ world, views: [...views.keys()], calls: [...transcripts.keys()], begun: [...begun] });
    begun = new Set();
  });
}

function followIn(all, key, act) {
  if (!all.has(key)) begun.add(key);
  const known = all.get(key) ?? { acts: new Set(), answer: undefined };
  all.set(key, known);
  known.acts.add(act);
  sendSoon();
  return () => {
    known.acts.delete(act);
    if (known.acts.size > 0) return;
    all.delete(key);
    sendSoon();
  };
}

/**
 * Why a view is refused, or `null` if it is not. An object may have a text named `error` itself, as deliveries and requests do.
 *
 * @param {any} answer
 * @returns {{code: string, message: string} | null}
 */
export const refusal = (answer) => (typeof answer?.error?.code === 'string' ? answer.error : null);

/**
 * Follow a view.
 *
 * @param {string} path of a GET, without `/_ajoxi/`
 * @param {(answer: any) => void} act called with the answer, or with `{error}`
 * @returns {() => void} stops it
 */
export function follow(path, act) {
  const stop = followIn(views, path, act);
  const { answer } = views.get(path);
  if (answer !== undefined) act(answer);
  return stop;
}

/**
 * A view as a signal: `null` until its answer is known, and while it is refused.
 *
 * @param {string} path
 * @returns {{value: import('../vendor/signals-core.js').Signal<any>, stop: () => void}}
 */
export function live(path) {
  const value = signal(null);
  const stop = follow(path, (answer) => {
    value.value = refusal(answer) ? null : answer;
  });
  return { value, stop };
}

/**
 * Follow what is said in a call.
 *
 * @param {string} id
 * @param {(news: {anew: boolean, segments: any[], completed: any}) => void} act
 * @returns {() => void} stops it
 */
export const followTranscript = (id, act) => followIn(transcripts, id, act);

function take(message) {
  if (message.kind === 'state') {
    connection.value = 'live';
    trouble.value = '';
    epoch.value = message.epoch;
    if (JSON.stringify(message.counts) !== JSON.stringify(counts.peek())) counts.value = message.counts;
    setClock(message.clock);
  }
  for (const [path, answer] of message.views) {
    const known = views.get(path);
    if (known === undefined) continue;
    known.answer = answer;
    for (const act of known.acts) act(answer);
  }
  for (const [id, news] of message.transcripts) for (const act of transcripts.get(id)?.acts ?? []) act(news);
}

function lost(kind) {
  connection.value = 'lost';
  trouble.value ||= 'The connection to the sandbox is lost. Trying again…';
  if (kind !== 'closed') return;
  // The stream was refused: the session is over, the world is not there, or the sandbox is being restarted.
  const again = () => say({ hidden: document.hidden });
  get('clock').then(again, (error) => {
    if (error.status > 0) trouble.value = `This world cannot be shown: ${error.message}`;
    setTimeout(again, 1_000);
  });
}

let received = 0;

/** The world's present moment in milliseconds since the epoch. */
export function now() {
  const shown = clock.peek();
  if (shown === null) return 0;
  const flowing = shown.running && !shown.advance;
  return shown.at + (flowing ? (performance.now() - received) * (shown.speed ?? 1) : 0);
}

/** Take a newer state of the clock, from the feed or from the answer to a command. @param {any} shown */
export function setClock(shown) {
  received = performance.now();
  clock.value = { ...shown, at: Date.parse(shown.now) };
  moment.value = now();
}

/** Follow the world of the address, from now on and after each change of it. */
export function followWorld() {
  const stop = effect(() => {
    if (!signedIn.value || route.value.world === world) return;
    world = route.value.world;
    connection.value = 'connecting';
    clock.value = null;
    counts.value = null;
    epoch.value = null;
    for (const known of views.values()) known.answer = undefined;
    say({ world, hidden: document.hidden });
    sendSoon();
  });
  const tick = setInterval(() => {
    if (!document.hidden && clock.peek()?.running) moment.value = now();
  }, 200);
  return () => {
    stop();
    clearInterval(tick);
    world = null;
    say({ bye: true });
  };
}

// A page that the browser kept for the back button has left its feed.
addEventListener('pageshow', (event) => {
  if (event.persisted) sendSoon();
});

// The connection: through the shared worker, or a feed of the page's own where a browser has none.

/**
 * Connect to the feed.
 *
 * @param {(message: any) => void} tell takes its messages
 * @returns {(message: object) => void} sends it a message, as `pageOf` takes them
 */
function connect(tell) {
  const say = typeof SharedWorker === 'function' ? overWorker(tell) : alone(tell);
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
    say = alone(tell);
    say(said);
  }, { once: true });
  port.addEventListener('message', ({ data }) => tell(data));
  port.start();
  return (message) => {
    Object.assign(said, message, { bye: false });
    say(message);
  };
}

/** A feed of the page's own, in the page. What is said before its module is loaded waits. */
function alone(tell) {
  const loaded = import('./source.js').then(({ pageOf }) => pageOf(tell));
  return async (message) => (await loaded)(message);
}
