/** The words of the sandbox, which forms are made of: routes, event types, faults, magic numbers. Read once for each sandbox. */
import { get, signedIn } from './api.js';
import { effect, signal } from './view.js';

/**
 * `null` until it is known.
 *
 * @type {import('../vendor/signals-core.js').Signal<any>}
 */
export const vocabulary = signal(null);

async function read() {
  try {
    vocabulary.value = await get('vocabulary');
  } catch {
    // The pages say themselves that the sandbox does not answer; forms have no choices until it does.
  }
}

effect(() => {
  if (!signedIn.value || vocabulary.peek() !== null) return;
  read();
});
