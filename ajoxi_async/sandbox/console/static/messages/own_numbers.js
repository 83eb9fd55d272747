/** The account's active numbers, for the fields of forms. */
import { phone } from '../base/format.js';
import { live } from '../feed/store.js';
import { html } from '../base/view.js';

/** The view of the account's active numbers. */
export const followOwnNumbers = () => live('v1/numbers?status=active&limit=200');

/** The choices of a field. @param {any} numbers the answer of the view, or `null` @param {string} [chosen] */
export const numberOptions = (numbers, chosen = '') => (numbers?.data ?? []).map((one) => html`
  <option value=${one.phone_number} .selected=${one.phone_number === chosen}>${phone(one.phone_number)}</option>`);
