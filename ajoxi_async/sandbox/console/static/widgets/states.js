/**
 * States as badges: an icon, a colour and the word, so that nothing is said by colour alone. And the cells of lists: each kind of cell
 * has a function that draws a row's value into it. Text reaches them as text nodes only.
 */
import { icon, iconElement } from './icons.js';
import { words } from '../base/format.js';
import { html } from '../base/view.js';

const STATES = {
  queued: ['ring', 'quiet'], ringing: ['half', 'warn'], answered: ['dot', 'good'], completed: ['check', 'quiet'],
  voicemail: ['check', 'quiet'], no_answer: ['close', 'warn'], busy: ['close', 'warn'], failed: ['alert', 'bad'], canceled: ['close', 'quiet'],
  pending: ['half', 'warn'], delivered: ['check', 'good'], dead: ['alert', 'bad'], dropped: ['close', 'quiet'], failing: ['alert', 'warn'],
  sent: ['check', 'quiet'], received: ['incoming', 'quiet'], undelivered: ['alert', 'bad'], active: ['dot', 'good'], disabled: ['close', 'bad'],
  running: ['half', 'warn'], inbound: ['incoming', ''], outbound: ['outgoing', ''],
};

/** Icon and tone of a state. @param {string} name @returns {[string, string]} */
const stateOf = (name) => STATES[name] ?? ['ring', ''];

/** The tone of an HTTP status. @param {number | null} status */
const toneOf = (status) => (status === null ? 'bad' : status < 300 ? 'good' : status < 400 ? '' : status < 500 ? 'warn' : 'bad');

const ICONS = { good: 'check', warn: 'alert', bad: 'alert', '': 'dot' };

/** A state in a template. @param {string} name @param {string} [shown] */
export function badge(name, shown = words(name)) {
  const [drawn, tone] = stateOf(name);
  return html`<span class="badge ${tone}">${icon(drawn)}${shown}</span>`;
}

/** An HTTP status in a template; `null` where no answer came. @param {number | null} status @param {string} [none] */
export const statusBadge = (status, none = 'no answer') => html`<span class="badge ${toneOf(status)}">${icon(ICONS[toneOf(status)])}${status ?? none}</span>`;

/** A state as an element. @param {string} name */
function badgeElement(name) {
  const [drawn, tone] = stateOf(name);
  return made(drawn, tone, words(name));
}

/** An HTTP status as an element. @param {number | null} status */
const statusElement = (status) => made(ICONS[toneOf(status)], toneOf(status), String(status ?? 'no answer'));

function made(drawn, tone, text) {
  const element = document.createElement('span');
  element.className = `badge ${tone}`;
  element.append(iconElement(drawn), text);
  return element;
}

/**
 * @callback Draw
 * @param {HTMLElement} cell
 * @param {any} row
 */

/** Text. @param {(row: any) => string} value @returns {Draw} */
export const text = (value) => (cell, row) => {
  const shown = value(row);
  if (cell.textContent !== shown) cell.textContent = shown;
};

/** A link to the row's page, which Ctrl-click opens in another tab; text where there is no page. @param {(row: any) => string} value @param {(row: any) => string | null} href @returns {Draw} */
export const link = (value, href) => (cell, row) => {
  const target = href(row);
  if (target === null) {
    text(value)(cell, row);
    return;
  }
  let anchor = cell.firstElementChild;
  if (!(anchor instanceof HTMLAnchorElement)) {
    anchor = document.createElement('a');
    // The row has the focus; a second stop for each row would double the way through the list.
    anchor.tabIndex = -1;
    cell.replaceChildren(anchor);
  }
  const shown = value(row);
  if (anchor.textContent !== shown) anchor.textContent = shown;
  anchor.setAttribute('href', target);
};

/** A cell whose element is made anew when its value has another text. */
const remade = (value, make) => (cell, row) => {
  const shown = value(row);
  const key = String(shown);
  if (cell.dataset.shown === key) return;
  cell.dataset.shown = key;
  cell.replaceChildren(...(shown === null || shown === undefined ? [] : [make(shown)]));
};

/** A state with its icon and word. @param {(row: any) => string | null | undefined} value @returns {Draw} */
export const state = (value) => remade(value, badgeElement);

/** An HTTP status; `undefined` shows nothing, `0` that no answer came. @param {(row: any) => number} value @returns {Draw} */
export const status = (value) => remade(value, (shown) => statusElement(shown || null));
