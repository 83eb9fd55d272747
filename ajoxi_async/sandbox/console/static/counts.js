/** The world's counters, which several pages and the side bar show: read again, at most four times a second, when they change. */
import { get, signedIn } from './api.js';
import { onChange } from './store.js';
import { signal } from './view.js';

const EVERY_MS = 250;

export const counts = signal({ live: 0, calls: 0, dead: 0, failing: 0 });

let waiting = false;

async function total(path) {
  return (await get(path)).total;
}

async function read() {
  const [calls, completed, dead, failing] = await Promise.all([
    total('calls?limit=1'), total('calls?status=completed&limit=1'),
    total('deliveries?state=dead&limit=1'), total('deliveries?state=failing&limit=1'),
  ]);
  counts.value = { live: calls - completed, calls, dead, failing };
}

function readSoon() {
  if (waiting || !signedIn.peek()) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    await read().catch(() => {});
  }, EVERY_MS);
}

for (const kind of ['call', 'delivery']) onChange(kind, readSoon);
