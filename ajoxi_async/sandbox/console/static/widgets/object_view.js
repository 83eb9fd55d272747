/** One object that a page follows: its newest state, or why there is none. */
import { follow, refusal } from '../feed/store.js';
import { signal } from '../base/view.js';

/**
 * Follow the answer of a GET.
 *
 * @param {string} path without `/_ajoxi/`
 * @returns {{state: import('../vendor/signals-core.js').Signal<{value: any, problem: string}>, stop: () => void}} `value` is `null` until
 *   it is known, and when the object is gone, for the reason in `problem`
 */
export function followObject(path) {
  const state = signal({ value: null, problem: '' });
  const stop = follow(path, (answer) => {
    const refused = refusal(answer);
    state.value = refused ? { value: null, problem: refused.message } : { value: answer, problem: '' };
  });
  return { state, stop };
}
