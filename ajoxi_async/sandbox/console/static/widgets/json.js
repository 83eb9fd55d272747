/** JSON as text that people read: indented, with a button that copies it. Never as HTML. */
import { icon } from './icons.js';
import { copy } from '../frame/notices.js';
import { html } from '../base/view.js';

/** Longer texts are cut: a browser needs seconds for a megabyte in one element. */
const MOST = 100_000;

/** @param {unknown} value */
export const pretty = (value) => JSON.stringify(value, null, 2);

/** A body as it is shown: JSON indented, everything else as it came. @param {string} text */
export function prettyBody(text) {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

/**
 * A block of code with a button that copies all of it.
 *
 * @param {string} label
 * @param {string} code
 * @param {string} [button] what the button is called
 */
export const codeBlock = (label, code, button = `Copy ${label}`) => html`
  <figure class="snippet">
    <figcaption>${label}<button class="plain" aria-label=${button} title=${button} @click=${() => copy(code, label)}>${icon('copy')}</button></figcaption>
    <pre tabindex="0" role="region" aria-label=${label}>${code.length > MOST ? `${code.slice(0, MOST)}\n… ${code.length - MOST} more characters; copy to see them` : code}</pre>
  </figure>`;
