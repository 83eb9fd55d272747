/**
 * What a page reads from the sandbox: now, and again when objects of some kinds change.
 *
 * Rules:
 * 1. One reading runs at a time. Changes that come meanwhile lead to one more, so that a flood of changes costs a few requests.
 * 2. What was read stays until newer is there; an error stands beside it.
 */
import { ApiError } from './api.js';
import { onChange } from './store.js';
import { signal } from './view.js';

/** The shortest time between two readings, in milliseconds. */
const EVERY_MS = 150;

/**
 * @template T
 * @typedef {object} Reading
 * @property {T | undefined} value what was read last; `undefined` before the first answer
 * @property {ApiError | null} error why the last reading failed
 */

/**
 * Read something now and after each change.
 *
 * @template T
 * @param {(abort: AbortSignal) => Promise<T>} read
 * @param {string[]} kinds of the objects whose changes lead to another reading
 * @returns {{state: import('./vendor/signals-core.js').Signal<Reading<T>>, again: () => Promise<void>, stop: () => void}}
 */
export function reading(read, kinds) {
  const state = signal(/** @type {Reading<T>} */ ({ value: undefined, error: null }));
  const stopped = new AbortController();
  let wanted = false;
  let running = null;

  async function run() {
    while (wanted && !stopped.signal.aborted) {
      wanted = false;
      try {
        state.value = { value: await read(stopped.signal), error: null };
      } catch (error) {
        if (stopped.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        state.value = { ...state.peek(), error };
      }
      if (wanted) await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    running = null;
  }

  function again() {
    wanted = true;
    running ??= run();
    return running;
  }

  const stops = kinds.map((kind) => onChange(kind, again));
  again();
  return {
    state,
    again,
    stop() {
      stopped.abort();
      for (const each of stops) each();
    },
  };
}
