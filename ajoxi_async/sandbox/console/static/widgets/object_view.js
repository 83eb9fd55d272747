/** One object that a page follows: its newest state, or why there is none. */
import { follow, refusal } from '../feed/store.js';
import { address } from '../base/router.js';
import { html, nothing, signal } from '../base/view.js';

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

/**
 * The page of an object: nothing until it is known, and why there is none where it is gone.
 *
 * @param {string} id
 * @param {{value: any, problem: string}} state
 * @param {string} page the page with all objects of this kind
 * @param {(value: any) => unknown} shown the template of the object
 */
export function objectView(id, { value, problem }, page, shown) {
  if (value !== null) return shown(value);
  return problem === '' ? nothing : html`
    <div class="empty"><h1 tabindex="-1" data-focus>${id}</h1><p>${problem}</p>
      <a class="button" href=${address(page)}>Show all ${page}</a></div>`;
}
