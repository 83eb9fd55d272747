/**
 * The cells of lists: each kind of cell has a function that draws a row's value into it. Text reaches them as text nodes only.
 */
import { badgeElement, statusElement } from './badge.js';

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
