/**
 * What the pages share: the connection, the world's clock, its counters, and who wants to know of which changes.
 *
 * Rules:
 * 1. The feed tells what changed; pages read the objects that they show. After a gap everything is stale.
 * 2. The world's time between two batches is computed from the speed of its clock, so that all times on a page go on together.
 */
import { get, signedIn } from './api.js';
import { connect } from './feed.js';
import { route } from './router.js';
import { effect, signal, untracked } from './view.js';

/** `connecting`, `live`, or `lost`. */
export const connection = signal('connecting');

/**
 * The clock of the world as `GET clock` shows it; `null` until it is known.
 *
 * @type {import('./vendor/signals-core.js').Signal<any>}
 */
export const clock = signal(null);

/** The world's present moment, in milliseconds since the epoch, renewed a few times a second while the page is visible. */
export const moment = signal(0);

/** How often objects of each kind changed since the page was loaded; a page follows the kinds that it shows. */
const listeners = new Map();

/**
 * Call `act` with the ids of changed objects of a kind, or with `null` if all of them have to be read again.
 *
 * @param {string} kind such as `call`
 * @param {(ids: string[] | null) => void} act
 * @returns {() => void} stops it
 */
export function onChange(kind, act) {
  const of = listeners.get(kind) ?? new Set();
  listeners.set(kind, of.add(act));
  return () => of.delete(act);
}

function tell(kind, ids) {
  for (const act of listeners.get(kind) ?? []) act(ids);
}

let received = 0;

/** The world's present moment in milliseconds since the epoch. */
export function now() {
  const shown = clock.peek();
  if (shown === null) return 0;
  const flowing = shown.running && shown.speed !== null && shown.advance === null;
  return shown.at + (flowing ? (performance.now() - received) * shown.speed : 0);
}

function setClock(shown) {
  received = performance.now();
  clock.value = { ...clock.peek(), ...shown, at: Date.parse(shown.now ?? clock.peek()?.now) };
  moment.value = now();
}

let reading = null;
let again = false;

/** Read the clock again; calls while it is being read lead to one more reading. */
export async function readClock() {
  again = true;
  reading ??= (async () => {
    while (again) {
      again = false;
      try {
        setClock(await get('clock'));
      } catch {
        // The connection's state says so already.
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    reading = null;
  })();
  await reading;
}

const link = connect((message) => {
  if (message.kind === 'changes') take(JSON.parse(message.data));
  else if (message.kind === 'open') connection.value = 'live';
  else lost(message.kind);
});

function take(batch) {
  connection.value = 'live';
  setClock(batch.clock);
  if (batch.changed.clock || batch.stale.includes('clock') || 'call' in batch.changed) readClock();
  for (const kind of batch.stale) tell(kind, null);
  for (const [kind, ids] of Object.entries(batch.changed)) tell(kind, ids);
}

function lost(kind) {
  connection.value = 'lost';
  if (kind !== 'closed') return;
  // The stream was refused: either the session is over, which the request finds out, or the sandbox is being restarted.
  get('clock').then(link.retry, () => setTimeout(link.retry, 1_000));
}

/** Follow the world of the address, from now on and after each change of it. */
export function followWorld() {
  let world = null;
  effect(() => {
    if (!signedIn.value || route.value.world === world) return;
    world = route.value.world;
    connection.value = 'connecting';
    link.follow(world);
    untracked(readClock);
  });
  setInterval(() => {
    if (!document.hidden && clock.peek()?.running) moment.value = now();
  }, 200);
}
