/**
 * The cells of lists: each kind of cell has a function that draws a row's value into it. Text reaches them as text nodes only.
 */
import { iconElement } from './icons.js';
import { words } from './format.js';

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

/** A link to the row's page, which Ctrl-click opens in another tab. @param {(row: any) => string} value @param {(row: any) => string} href @returns {Draw} */
export const link = (value, href) => (cell, row) => {
  let anchor = cell.firstElementChild;
  if (!(anchor instanceof HTMLAnchorElement)) {
    anchor = document.createElement('a');
    // The row has the focus; a second stop for each row would double the way through the list.
    anchor.tabIndex = -1;
    cell.replaceChildren(anchor);
  }
  if (anchor.textContent !== value(row)) anchor.textContent = value(row);
  anchor.setAttribute('href', href(row));
};

/** The icon and the colour of each state: nothing is said by colour alone. */
const STATES = {
  queued: ['ring', 'quiet'], ringing: ['half', 'warn'], answered: ['dot', 'good'], completed: ['check', 'quiet'],
  voicemail: ['check', 'quiet'], no_answer: ['close', 'warn'], busy: ['close', 'warn'], failed: ['alert', 'bad'], canceled: ['close', 'quiet'],
  pending: ['half', 'warn'], delivered: ['check', 'good'], dead: ['alert', 'bad'], dropped: ['close', 'quiet'], failing: ['alert', 'warn'],
  sent: ['check', 'quiet'], received: ['incoming', 'quiet'], undelivered: ['alert', 'bad'], active: ['dot', 'good'], disabled: ['close', 'bad'],
  running: ['half', 'warn'], inbound: ['incoming', ''], outbound: ['outgoing', ''],
};

/** The class of an HTTP status. @param {number | null} status */
export const toneOfStatus = (status) => (status === null ? 'bad' : status < 300 ? 'good' : status < 400 ? '' : status < 500 ? 'warn' : 'bad');

/** Icon and tone of a state. @param {string | null | undefined} name */
export const stateOf = (name) => STATES[name] ?? ['ring', ''];

/** A state with its icon and word. @param {(row: any) => string | null | undefined} value @returns {Draw} */
export const state = (value) => (cell, row) => {
  const name = value(row);
  if (cell.dataset.state === (name ?? '')) return;
  cell.dataset.state = name ?? '';
  cell.replaceChildren(...(name ? [badge(name)] : []));
};

/** A badge as an element. @param {string} name @param {string} [shown] */
export function badge(name, shown = words(name)) {
  const [drawn, tone] = stateOf(name);
  const made = document.createElement('span');
  made.className = `badge ${tone}`;
  made.append(iconElement(drawn), shown);
  return made;
}
