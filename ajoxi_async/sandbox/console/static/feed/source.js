/**
 * The feeds of one browser: one connection for each world, however many pages show it. It tells each page what it shows.
 *
 * Runs as a shared worker, which owns the feeds, so that a browser needs one connection for a world however many tabs are open. Where
 * there is no shared worker, a page loads this module itself (`store.js`).
 *
 * Rules:
 * 1. A page follows views (paths of GETs) and the transcripts of calls. The sandbox is asked for what all visible pages follow
 *    together; an answer is asked for once, and kept for pages that ask for the same one later.
 * 2. The first page opens the stream of a world, the last one closes it. When all its pages have been hidden for a minute it is
 *    closed, and opened again when one is shown.
 * 3. A stream that is lost is opened again by the browser; after that everything is sent anew.
 */
const HIDDEN_MS = 60_000;
const HEADERS = { 'X-Ajoxi-Console': '1', 'Content-Type': 'application/json' };

/**
 * @typedef {object} Follower
 * @property {(message: object) => void} tell
 * @property {boolean} hidden
 * @property {Set<string>} views
 * @property {Set<string>} calls
 */

class Feed {
  /** @param {string} world */
  constructor(world) {
    this.world = world;
    /** @type {Set<Follower>} */
    this.followers = new Set();
    this.source = null;
    this.id = null;
    this.sleep = 0;
    this.asking = 0;
    /** The interest that was sent last, as text. */
    this.sent = '';
    /** Names of paths: paths are longer than a name may be. @type {Map<string, string>} */
    this.names = new Map();
    this.named = 0;
    /** @type {Map<string, any>} */
    this.answers = new Map();
    /** @type {Map<string, {segments: Map<number, object>, completed: object | null}>} */
    this.spoken = new Map();
    this.last = null;
  }

  open() {
    const source = new EventSource(`/_ajoxi/console/feed?world=${encodeURIComponent(this.world)}`);
    this.source = source;
    source.addEventListener('hello', (event) => {
      this.id = JSON.parse(event.data).feed;
      this.sent = '';
      this.ask();
    });
    source.addEventListener('state', (event) => this.take(JSON.parse(event.data)));
    source.addEventListener('error', () => {
      this.id = null;
      // A closed source is not opened again by the browser: the session has ended, or the world is gone.
      const kind = source.readyState === EventSource.CLOSED ? 'closed' : 'lost';
      for (const follower of this.followers) follower.tell({ kind });
    });
  }

  close() {
    this.source?.close();
    this.source = null;
    this.id = null;
  }

  /** Open or close the stream, after pages came, went, or were hidden or shown. */
  settle() {
    clearTimeout(this.sleep);
    if (this.followers.size === 0) this.close();
    else if ([...this.followers].every((one) => one.hidden)) this.sleep = setTimeout(() => this.close(), HIDDEN_MS);
    else if (this.source === null || this.source.readyState === EventSource.CLOSED) this.open();
    this.ask();
  }

  /** Tell the sandbox what is followed, once for all changes of a moment. */
  ask() {
    this.asking ||= setTimeout(async () => {
      const text = this.interest();
      if (this.id !== null && text !== this.sent) {
        this.sent = text;
        // A refusal means that the stream has ended, which its error event tells.
        await fetch(`/_ajoxi/console/feed/${this.id}`, { method: 'POST', headers: HEADERS, body: text }).catch(() => {});
      }
      this.asking = 0;
      if (this.id !== null && this.interest() !== this.sent) this.ask();
    });
  }

  interest() {
    const visible = [...this.followers].filter((one) => !one.hidden);
    const paths = new Set(visible.flatMap((one) => Array.from(one.views)));
    const calls = new Set(visible.flatMap((one) => Array.from(one.calls)));
    for (const path of paths) {
      if (this.names.has(path)) continue;
      this.named += 1;
      this.names.set(path, `v${this.named}`);
    }
    for (const path of this.names.keys()) {
      if (paths.has(path)) continue;
      this.names.delete(path);
      this.answers.delete(path);
    }
    for (const id of this.spoken.keys()) if (!calls.has(id)) this.spoken.delete(id);
    return JSON.stringify({ views: Object.fromEntries([...paths].map((path) => [this.names.get(path), path])), calls: [...calls] });
  }

  take(state) {
    const paths = new Map([...this.names].map(([path, name]) => [name, path]));
    const views = new Map(Object.entries(state.views).map(([name, answer]) => [paths.get(name), answer]));
    for (const [path, answer] of views) if (path !== undefined) this.answers.set(path, answer);
    for (const [id, news] of Object.entries(state.transcripts)) this.hear(id, news);
    const { epoch, clock, counts } = state;
    this.last = { kind: 'state', epoch, clock, counts, views: [], transcripts: [] };
    for (const follower of this.followers) {
      const shown = [...views].filter(([path]) => follower.views.has(path));
      const transcripts = Object.entries(state.transcripts).filter(([id]) => follower.calls.has(id));
      follower.tell({ kind: 'state', epoch, clock, counts, views: shown, transcripts });
    }
  }

  hear(id, { anew, segments, completed }) {
    const heard = anew ? undefined : this.spoken.get(id);
    const { segments: known } = heard ?? { segments: new Map() };
    for (const segment of segments) known.set(segment.sequence, segment);
    this.spoken.set(id, { segments: known, completed });
  }

  /** A page changed what it follows: tell it what is known already of what is new to it. */
  follow(follower, views, calls, begun) {
    const fresh = views.filter((path) => (!follower.views.has(path) || begun.includes(path)) && this.answers.has(path));
    const opened = calls.filter((id) => (!follower.calls.has(id) || begun.includes(id)) && this.spoken.has(id));
    follower.views = new Set(views);
    follower.calls = new Set(calls);
    if (this.last !== null && (fresh.length || opened.length)) {
      const transcripts = opened.map((id) => {
        const { segments, completed } = this.spoken.get(id);
        return [id, { anew: true, segments: [...segments.values()], completed }];
      });
      follower.tell({ kind: 'known', views: fresh.map((path) => [path, this.answers.get(path)]), transcripts });
    }
    this.ask();
  }
}

/** @type {Map<string, Feed>} */
const feeds = new Map();

/**
 * A page and its feed.
 *
 * @param {(message: object) => void} tell
 * @returns {(message: {world?: string, views?: string[], calls?: string[], begun?: string[], hidden?: boolean, bye?: boolean}) => void} takes the
 *   messages of the page; `begun` are those of its views and calls that a part of it has begun to follow
 */
export function pageOf(tell) {
  const follower = { tell, hidden: false, views: new Set(), calls: new Set() };
  let feed = null;
  const leave = () => {
    feed?.followers.delete(follower);
    feed?.settle();
    if (feed?.followers.size === 0) feeds.delete(feed.world);
    feed = null;
  };
  return ({ world, views, calls, begun = [], hidden, bye }) => {
    if (hidden !== undefined) follower.hidden = hidden;
    if (bye) leave();
    if (world !== undefined && feed?.world !== world) {
      leave();
      feed = feeds.get(world) ?? new Feed(world);
      feeds.set(world, feed);
      feed.followers.add(follower);
      follower.views = new Set();
      follower.calls = new Set();
      if (feed.last !== null) tell(feed.last);
    }
    if (views !== undefined) feed?.follow(follower, views, calls, begun);
    if (views === undefined || world !== undefined) feed?.settle();
  };
}

if ('SharedWorkerGlobalScope' in globalThis) {
  addEventListener('connect', (event) => {
    const [port] = event.ports;
    const take = pageOf((message) => port.postMessage(message));
    port.addEventListener('message', ({ data }) => take(data));
    port.start();
  });
}
