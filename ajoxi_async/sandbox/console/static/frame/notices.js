/**
 * Short notices in a corner: what an action did, or why it failed. They are read out by screen readers.
 */
import { ApiError } from '../base/api.js';
import { icon } from '../widgets/icons.js';
import { html, signal } from '../base/view.js';

const SHOWN_MS = 8_000;
const notices = signal(/** @type {{id: number, text: string, bad: boolean, href?: string}[]} */ ([]));
let made = 0;

const remove = (id) => {
  notices.value = notices.peek().filter((one) => one.id !== id);
};

function add(notice) {
  made += 1;
  const id = made;
  notices.value = [...notices.peek().slice(-3), { ...notice, id }];
  setTimeout(() => remove(id), SHOWN_MS);
}

/**
 * Say what was done.
 *
 * @param {string} text
 * @param {string} [href] where to see it
 */
export const notify = (text, href) => add({ text, href, bad: false });

/** Say why something failed. @param {unknown} error */
export const complain = (error) => add({ text: error instanceof Error ? error.message : String(error), bad: true });

/**
 * Do something that the person asked for, and say why if it fails.
 *
 * @template T
 * @param {() => Promise<T>} act
 * @returns {Promise<T | undefined>}
 */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    complain(error);
    return undefined;
  }
}

/** Copy text to the clipboard and say so. @param {string} text @param {string} what */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    notify(`${what} copied`);
  } catch {
    complain('The browser did not let the console copy. Select the text and copy it yourself.');
  }
}

const one = (notice) => html`
  <div class="notice ${notice.bad ? 'bad' : ''}">
    <span>${icon(notice.bad ? 'alert' : 'check')}</span>
    <p>${notice.text} ${notice.href ? html`<a href=${notice.href}>Show</a>` : ''}</p>
    <button class="plain" aria-label="Dismiss" @click=${() => remove(notice.id)}>${icon('close')}</button>
  </div>`;

/** The corner of the page in which the notices are. */
export const noticesView = () => html`
  <div class="notices">
    <div role="status">${notices.value.filter((notice) => !notice.bad).map(one)}</div>
    <div role="alert">${notices.value.filter((notice) => notice.bad).map(one)}</div>
  </div>`;
