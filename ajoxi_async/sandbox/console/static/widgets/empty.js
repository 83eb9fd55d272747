/**
 * Empty pages: what the page is for, a button that fills it, and the same request as curl and as Python.
 */
import { asCurl, asPython } from './snippets.js';
import { icon } from './icons.js';
import { codeBlock } from './json.js';
import { attempt } from '../frame/notices.js';
import { html, nothing } from '../base/view.js';

/**
 * The content of an empty page.
 *
 * @param {object} about
 * @param {string} about.icon
 * @param {string} about.title
 * @param {string} about.text what will be here, and why one wants it
 * @param {string} [about.action] the words on the button
 * @param {() => Promise<unknown>} [about.run] what the button does
 * @param {import('./snippets.js').Described} [about.request] the same as a request to the API
 */
export function emptyPage({ icon: name, title, text, action, run, request }) {
  return html`
    <div class="empty">
      <span class="empty-icon">${icon(name)}</span>
      <h2>${title}</h2>
      <p>${text}</p>
      ${action ? html`<button class="primary" @click=${() => attempt(run)}>${action}</button>` : nothing}
      ${request ? html`<div class="snippets"><p class="quiet">The same from your code:</p>
        ${snippet('curl', asCurl(request))}${snippet('Python', asPython(request))}</div>` : nothing}
    </div>`;
}

/** A request as code. @param {string} name @param {string | null} code `null` where it cannot be written so */
const snippet = (name, code) => (code === null ? nothing : codeBlock(name, code, `Copy as ${name}`));
