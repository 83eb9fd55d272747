/**
 * The rows of a list that are known, by their index, and what is asked of the sandbox to know more.
 *
 * Rules:
 * 1. The newest object is row 0 of the sandbox's list. While the list is held, `newer` counts the objects that came since: the row
 *    with index i is at position i + newer, so that known rows keep their index.
 * 2. One request is under way at a time, for the rows that are shown; what is asked meanwhile is asked after it.
 * 3. A live list is read again when something changed; a held one when a shown row changed, and otherwise only counted.
 */

/** The most rows of one request. */
const AT_ONCE = 100;
/** Real milliseconds between two readings because of changes: of a live list, and of one that is held. */
const PAUSE_MS = { live: 15, held: 250 };
/** Rows that are kept beyond the shown ones. */
const KEPT = 2_000;

/**
 * @callback Load
 * @param {number} at
 * @param {number} limit
 * @param {AbortSignal} abort
 * @returns {Promise<{data: any[], at: number, total: number}>}
 */

export class Rows {
  /**
   * @param {Load} load
   * @param {{changed: () => void, failed: (error: unknown) => void}} events
   */
  constructor(load, { changed, failed }) {
    this.load = load;
    this.onChanged = changed;
    this.onFailed = failed;
    this.total = 0;
    this.newer = 0;
    this.held = false;
    /** Whether the list was read at least once. */
    this.known = false;
    this.items = new Map();
    this.indexes = new Map();
    this.shown = [0, 39];
    this.dirty = true;
    this.timer = 0;
    this.abort = null;
  }

  idOf(item) {
    return item.id;
  }

  at(index) {
    return this.items.get(index);
  }

  find(id) {
    return this.items.get(this.indexes.get(id));
  }

  /** Hold the list still, or let it be live. @param {boolean} held */
  hold(held) {
    if (held === this.held) return;
    this.held = held;
    if (!held) {
      this.newer = 0;
      this.refresh();
    }
  }

  forget() {
    this.items.clear();
    this.indexes.clear();
  }

  /** Begin anew, for other filters. */
  restart() {
    this.abort?.abort();
    this.abort = null;
    this.forget();
    this.newer = 0;
    this.dirty = true;
    this.read();
  }

  stop() {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.stopped = true;
  }

  /** Objects changed. @param {string[] | null} ids */
  change(ids) {
    if (ids === null) return this.refresh();
    this.dirty = true;
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      this.read();
    }, this.held ? PAUSE_MS.held : PAUSE_MS.live);
    return undefined;
  }

  /** Read the shown rows again. */
  refresh() {
    this.dirty = true;
    this.read();
  }

  /** Read rows that are to be shown and not known. @param {number} first @param {number} last */
  ensure(first, last) {
    this.shown = [first, Math.max(first, last)];
    for (let index = first; index <= last; index += 1) {
      if (!this.items.has(index)) {
        this.read();
        return;
      }
    }
  }

  missing() {
    const [first, last] = this.shown;
    for (let index = first; index <= Math.min(last, this.total - 1); index += 1) if (!this.items.has(index)) return true;
    return false;
  }

  async read() {
    if (this.abort !== null || this.stopped || (!this.dirty && this.known && !this.missing())) return;
    const abort = new AbortController();
    this.abort = abort;
    this.dirty = false;
    const [first, last] = this.shown;
    const begin = Math.max(0, first);
    try {
      const answer = await this.load(begin + this.newer, Math.min(AT_ONCE, last - begin + 1), abort.signal);
      if (abort.signal.aborted) return;
      this.take(answer);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.onFailed(error);
      this.abort = null;
      return;
    }
    this.abort = null;
    this.onChanged();
    if (this.dirty) this.change([]);
    else if (this.missing()) this.read();
  }

  take({ data, at, total }) {
    if (this.held && this.known) {
      this.newer = Math.max(0, this.newer + this.shift(data, at, total));
      this.total = Math.max(0, total - this.newer);
    } else {
      this.total = total;
      this.newer = 0;
      if (this.items.size > 0) this.forget();
    }
    this.known = true;
    data.forEach((item, place) => this.keep(at + place - this.newer, item));
    if (this.items.size > KEPT) this.trim();
  }

  /** How many objects came since the last reading: a known row among those read tells, otherwise the length of the list. */
  shift(data, at, total) {
    for (const [place, item] of data.entries()) {
      const known = this.indexes.get(this.idOf(item));
      if (known !== undefined) return at + place - this.newer - known;
    }
    return Math.max(0, total - this.newer - this.total);
  }

  keep(index, item) {
    if (index < 0) return;
    const before = this.items.get(index);
    if (before !== undefined && this.idOf(before) !== this.idOf(item)) this.indexes.delete(this.idOf(before));
    this.items.set(index, item);
    this.indexes.set(this.idOf(item), index);
  }

  trim() {
    const [first, last] = this.shown;
    for (const [index, item] of this.items) {
      if (index >= first - KEPT / 4 && index <= last + KEPT / 4) continue;
      this.items.delete(index);
      this.indexes.delete(this.idOf(item));
    }
  }
}
