/** States as badges: an icon, a colour and the word, so that nothing is said by colour alone. */
import { icon, iconElement } from './icons.js';
import { words } from './format.js';
import { html } from './view.js';

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
export function badgeElement(name) {
  const [drawn, tone] = stateOf(name);
  return made(drawn, tone, words(name));
}

/** An HTTP status as an element. @param {number | null} status */
export const statusElement = (status) => made(ICONS[toneOf(status)], toneOf(status), String(status ?? 'no answer'));

function made(drawn, tone, text) {
  const element = document.createElement('span');
  element.className = `badge ${tone}`;
  element.append(iconElement(drawn), text);
  return element;
}
