/** A card: one of the parts that a page shows side by side. */
import { html, nothing } from '../base/view.js';

/**
 * @param {string} title
 * @param {string | null} href the address of the page that shows all of it, if there is one
 * @param {unknown} content
 */
export const card = (title, href, content) => html`
  <section class="card" aria-label=${title}><header><h2>${title}</h2>${href ? html`<a href=${href}>All</a>` : nothing}</header>${content}</section>`;
