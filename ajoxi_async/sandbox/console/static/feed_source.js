/**
 * The streams of changes of one browser: one connection for each world, however many pages show it.
 *
 * Runs in the shared worker (`feed_worker.js`), or in a page where there is none (`feed.js`).
 *
 * Rules:
 * 1. A page follows one world at a time. The first follower opens the stream, the last one closes it.
 * 2. When all pages of a world have been hidden for a minute, its stream is closed; it is opened again when one is shown.
 * 3. A stream that is lost is opened again by the browser, which sends the last event's id.
 */
const HIDDEN_MS = 60_000;

/**
 * @typedef {object} Follower
 * @property {(message: {kind: 'open' | 'lost' | 'closed' | 'changes', data?: string}) => void} tell
 * @property {boolean} hidden
 */

class Stream {
  /** @param {string} world */
  constructor(world) {
    this.world = world;
    /** @type {Set<Follower>} */
    this.followers = new Set();
    this.source = null;
    this.sleep = 0;
    this.last = null;
  }

  open() {
    const source = new EventSource(`/_ajoxi/console/feed?world=${encodeURIComponent(this.world)}`);
    this.source = source;
    source.addEventListener('open', () => this.tell({ kind: 'open' }));
    source.addEventListener('changes', (event) => this.tell({ kind: 'changes', data: event.data }));
    source.addEventListener('error', () => {
      // A closed source is not opened again by the browser: the session has ended, or the world is gone.
      this.tell({ kind: source.readyState === EventSource.CLOSED ? 'closed' : 'lost' });
    });
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  tell(message) {
    if (message.kind !== 'changes') this.last = message;
    for (const follower of this.followers) follower.tell(message);
  }

  /** Open or close the stream, after followers came, went, or were hidden or shown. */
  settle() {
    clearTimeout(this.sleep);
    if (this.followers.size === 0) this.close();
    else if ([...this.followers].every((one) => one.hidden)) this.sleep = setTimeout(() => this.close(), HIDDEN_MS);
    else if (this.source === null || this.source.readyState === EventSource.CLOSED) this.open();
  }
}

/** @type {Map<string, Stream>} */
const streams = new Map();

/**
 * Follow the changes of a world.
 *
 * @param {string} world
 * @param {Follower} follower
 * @returns {{stop: () => void, settle: () => void}} `settle` is called after `follower.hidden` changed, or to try again
 */
export function follow(world, follower) {
  const stream = streams.get(world) ?? new Stream(world);
  streams.set(world, stream);
  stream.followers.add(follower);
  // Changes before a page began to follow are unknown to it: it reads everything.
  if (stream.source !== null && stream.last !== null) follower.tell(stream.last);
  stream.settle();
  return {
    stop() {
      stream.followers.delete(follower);
      stream.settle();
      if (stream.followers.size === 0) streams.delete(world);
    },
    settle: () => stream.settle(),
  };
}
