/**
 * Filters of a list: one field with words such as `status:ringing to:+1415`, and a chip for each of them. They are in the address.
 */
import { icon } from './icons.js';
import { keysText } from './shortcuts.js';
import { html, nothing } from './view.js';

/**
 * The filters in a text, by name. A value with spaces is quoted: `q:"two words"`. A name may have a dot: `metadata.team:blue`.
 *
 * @param {string} text
 * @param {string[]} names those that the list knows; `metadata.` knows every name with this beginning
 * @returns {{filters: Record<string, string>, unknown: string[]}}
 */
export function parseFilters(text, names) {
  const filters = {};
  const unknown = [];
  for (const [whole, name, quoted, plain] of text.matchAll(/(?:([\w.]+):)?(?:"([^"]*)"|(\S+))/g)) {
    const value = quoted ?? plain;
    if (name !== undefined && names.some((known) => name === known || (known.endsWith('.') && name.startsWith(known)))) filters[name] = value;
    else unknown.push(whole);
  }
  return { filters, unknown };
}

/** The text that `parseFilters` reads. @param {Record<string, string>} filters */
export const filterText = (filters) => Object.entries(filters).map(([name, value]) => `${name}:${/\s/.test(value) ? `"${value}"` : value}`).join(' ');

/**
 * The field and its chips.
 *
 * @param {object} about
 * @param {string} about.label
 * @param {string} about.hint an example of what can be written
 * @param {string[]} about.names
 * @param {Record<string, string>} about.filters the present ones
 * @param {(filters: Record<string, string>) => void} about.change
 * @param {string} [about.problem] why the present ones are refused
 * @param {[string, Record<string, string>][]} [about.presets] a word and the filters that it sets
 */
export function filterBar({ label, hint, names, filters, change, problem = '', presets = [] }) {
  const submit = (event) => {
    event.preventDefault();
    const field = event.currentTarget.elements.namedItem('filter');
    const { filters: added, unknown } = parseFilters(field.value, names);
    field.setCustomValidity(unknown.length ? `Write name:value with one of ${names.join(', ')}` : '');
    if (!field.reportValidity()) return;
    field.value = '';
    change({ ...filters, ...added });
  };
  const without = (name) => Object.fromEntries(Object.entries(filters).filter(([one]) => one !== name));
  return html`
    <form class="filters" role="search" aria-label=${label} @submit=${submit} @input=${(event) => event.target.setCustomValidity('')}>
      <div class="search">${icon('search')}
        <input name="filter" type="text" aria-label="Filter" aria-describedby="filter-problem" data-filter autocomplete="off" spellcheck="false"
          placeholder=${hint} title="Filter (${keysText('/')}); Enter adds it"></div>
      ${presets.map(([word, set]) => html`<button type="button" aria-pressed=${same(set, filters)}
        @click=${() => change(same(set, filters) ? {} : set)}>${word}</button>`)}
      ${Object.entries(filters).map(([name, value]) => html`<span class="chip">${name}:${value}
        <button type="button" class="plain" aria-label="Remove the filter ${name}" @click=${() => change(without(name))}>${icon('close')}</button></span>`)}
      <p id="filter-problem" class="problem ${problem ? '' : 'hidden'}" role="alert">${problem || nothing}</p>
    </form>`;
}

const same = (one, other) => filterText(one) === filterText(other);

/** The commands of a page with filters. @param {() => boolean} active @param {() => void} clear */
export const filterCommands = (active, clear) => [
  { id: 'list.filter', label: 'Filter', group: 'List', keys: '/', run: () => document.querySelector('[data-filter]')?.focus() },
  { id: 'list.clear', label: 'Clear the filters', group: 'List', keys: 'x', enabled: active, run: clear },
];
