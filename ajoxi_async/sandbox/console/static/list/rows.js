/**
 * The rows of a list that are known, by their index, and what is asked of the sandbox to know more.
 *
 * Rules:
 * 1. The newest object is row 0 of the sandbox's list. While the list is held, `newer` counts the objects that came since: the row
 *    with index i is at position i + newer, so that known rows keep their index.
 * 2. The rows that are shown are followed: the feed sends them again when they change. Rows that are scrolled to are read at once,
 *    one request at a time, and followed when the list comes to rest.
 * 3. While the list flies, so fast that no two frames have a row in common, nothing can be read, and nothing is asked for.
 */
import { early, get, refusal } from '../base/api.js';
import { follow } from '../feed/store.js';

/** The most rows of one request. */
const AT_ONCE = 100;
/** Rows that are followed after the shown ones: as many objects may come until others have to be followed. */
const SLACK = 20;
/** Milliseconds without a scroll after which the list is at rest. */
const REST_MS = 120;
/** Two leaps within so many milliseconds are a flight, which is over after so many without one. */
const FLIGHT_MS = 100;
const LANDED_MS = 30;
/** Rows that are kept. */
const KEPT = 2_000;

export class Rows {
  /**
   * @param {(at: number, limit: number) => string} path the path of a GET that answers rows by their position
   * @param {{changed: () => void, failed: (error: unknown) => void, key?: (row: any) => string}} options
   */
  constructor(path, { changed, failed, key = ({ id }) => id }) {
    this.path = path;
    this.idOf = key;
    this.onChanged = changed;
    this.onFailed = failed;
    this.items = new Map();
    this.indexes = new Map();
    this.total = 0;
    this.newer = 0;
    this.held = false;
    /** Whether the list was read at least once. */
    this.known = false;
    this.shown = [0, 39];
    this.upwards = false;
    this.abort = null;
    this.rest = 0;
    this.leapt = -FLIGHT_MS;
    this.landing = 0;
    /** The first position that is followed and how many, and what stops it. */
    this.followed = { at: -1, limit: 0, stop: () => {} };
  }

  at(index) {
    return this.items.get(index);
  }

  /** Hold the list still, or let it be live. @param {boolean} held */
  hold(held) {
    if (held === this.held) return;
    this.held = held;
    if (!held) this.newer = 0;
    this.settle();
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
    this.known = false;
    this.followed.stop();
    this.followed = { at: -1, limit: 0, stop: () => {} };
    this.settle();
    const known = early.get(this.path(0, this.shown[1] + 1));
    if (known === undefined) this.read();
    else this.take(known);
  }

  stop() {
    clearTimeout(this.rest);
    clearTimeout(this.landing);
    this.abort?.abort();
    this.followed.stop();
  }

  /** These rows are shown now: read those that are not known, and follow them when the list is at rest. */
  ensure(first, last) {
    const same = first === this.shown[0] && last === this.shown[1];
    const leap = first > this.shown[1] || last < this.shown[0];
    this.upwards = first < this.shown[0];
    this.shown = [first, Math.max(first, last)];
    if (leap) this.leap();
    else if (this.landing === 0 && this.missing()) this.read();
    if (same && this.followed.at >= 0) return;
    clearTimeout(this.rest);
    this.rest = setTimeout(() => this.settle(), this.followed.at < 0 ? 0 : REST_MS);
  }

  /** The rows that are shown are others than a moment ago. */
  leap() {
    const now = performance.now();
    const flies = this.landing !== 0 || now - this.leapt < FLIGHT_MS;
    this.leapt = now;
    clearTimeout(this.landing);
    this.landing = 0;
    if (!this.missing()) return;
    if (!flies) this.read();
    else {
      this.landing = setTimeout(() => {
        this.landing = 0;
        this.read();
      }, LANDED_MS);
    }
  }

  missing() {
    const [first, last] = this.shown;
    for (let index = first; index <= Math.min(last, this.total - 1); index += 1) if (!this.items.has(index)) return true;
    return false;
  }

  /** Follow the rows that are shown. */
  settle() {
    const [first, last] = this.shown;
    // A list that has just become live may still show rows from far below.
    const at = this.held ? first + this.newer : 0;
    const limit = last - first + 1 + (this.held ? SLACK : 0);
    if (at === this.followed.at && limit === this.followed.limit) return;
    const { stop } = this.followed;
    this.followed = { at, limit, stop: () => {} };
    this.followed.stop = follow(this.path(at, limit), (answer) => this.take(answer));
    stop();
  }

  async read() {
    if (this.abort !== null) return;
    const abort = new AbortController();
    this.abort = abort;
    const [first, last] = this.shown;
    // More than is shown, in the direction of the scroll.
    const begin = this.upwards ? Math.max(0, last + 1 - AT_ONCE) : first;
    const limit = this.known ? AT_ONCE : last - first + 1;
    try {
      const answer = await get(this.path(begin + this.newer, limit), abort.signal);
      if (abort.signal.aborted) return;
      this.abort = null;
      this.take(answer);
    } catch (error) {
      if (abort.signal.aborted) return;
      this.abort = null;
      this.onFailed(error);
      return;
    }
    if (this.missing()) this.read();
  }

  take(answer) {
    if (answer.error) {
      this.onFailed(refusal(answer));
      return;
    }
    const { data, at, total } = answer;
    if (this.held && this.known) {
      const came = this.shift(data, at, total);
      this.newer = Math.max(0, this.newer + came);
      this.total = Math.max(0, total - this.newer);
      // So many objects came that the shown ones are about to leave the followed rows.
      if (came > 0 && this.shown[0] + this.newer - this.followed.at > SLACK) this.settle();
    } else {
      this.total = total;
      this.newer = 0;
      if (at === 0) this.forget();
    }
    this.known = true;
    data.forEach((item, place) => this.keep(at + place - this.newer, item));
    if (this.items.size > KEPT) this.trim();
    this.onChanged();
  }

  /** How many objects came since the last answer: a known row in this one tells, otherwise the length of the list. */
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
