/** Magic numbers, which have one fixed effect each, as choices of fields and as a palette. */
import { html } from '../base/view.js';
import { vocabulary } from '../base/vocabulary.js';

/** Which numbers belong together, by the tens of their last two digits. */
const GROUPS = {
  0: 'Calls', 1: 'Transfers', 2: 'Recordings and transcripts', 3: 'Refused', 4: 'Messages', 5: 'Provisioning', 6: 'Trouble with the API',
};

/** @returns {{name: string, numbers: {number: string, meaning: string}[]}[]} */
export function magicGroups() {
  const groups = new Map();
  for (const one of vocabulary.value?.magic_numbers ?? []) {
    const name = GROUPS[one.number.at(-2)] ?? 'Others';
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  return [...groups].map(([name, numbers]) => ({ name, numbers }));
}

/** The choices of a field for a phone number: those that match what was typed. @param {string} id of the list, for `list=` */
export const magicChoices = (id) => html`
  <datalist id=${id}>${(vocabulary.value?.magic_numbers ?? []).map(({ number, meaning }) => html`<option value=${number}>${meaning}</option>`)}</datalist>`;

/** What a number does; empty if it is an ordinary one. @param {string} number */
export const meaningOf = (number) => vocabulary.value?.magic_numbers.find((one) => one.number === number)?.meaning ?? '';
