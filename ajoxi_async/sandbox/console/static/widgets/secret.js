/** A secret that is shown once: in the answer that made it, and never again. */
import { openDialog } from '../frame/dialog.js';
import { icon } from './icons.js';
import { copy } from '../frame/notices.js';
import { html } from '../base/view.js';

/**
 * Show a secret until its dialog is closed. It is kept nowhere.
 *
 * @param {string} title
 * @param {string} name what it is: `API key`, `Secret`
 * @param {string} secret
 * @param {string} text what it is for, and what happens to those before it
 * @returns {Promise<void>} resolved when it is closed
 */
export const showSecret = (title, name, secret, text) => openDialog(title, (close) => html`
  <h2>${title}</h2>
  <p>${text}</p>
  <div class="secret">
    <label for="secret">${name}</label>
    <input id="secret" readonly spellcheck="false" autocomplete="off" .value=${secret} @focus=${(event) => event.target.select()}>
    <button class="primary" autofocus @click=${() => copy(secret, name)}>${icon('copy')} Copy</button>
  </div>
  <p class="quiet">${icon('alert')} It is shown this once. The console cannot show it again.</p>
  <div class="buttons"><button @click=${close}>I have it</button></div>`);
