/**
 * A page with one list: heading with the number of rows, filters, the list, and a panel beside it that shows the chosen row.
 *
 * Filters and the chosen row are in the address, each under its own name. The field of filters takes words such as
 * `status:ringing to:+1415`; each filter is a chip.
 */
import { count } from '../base/format.js';
import { icon, iconElement } from '../widgets/icons.js';
import { createList } from './list.js';
import { lists } from '../base/preferences.js';
import { complain } from '../frame/notices.js';
import { go, route, setQuery } from '../base/router.js';
import { addCommands, keysText } from '../base/shortcuts.js';
import { effect, element, html, later, nothing, show, signal, together, untracked } from '../base/view.js';

/**
 * @typedef {object} ListPage
 * @property {string} title
 * @property {import('./list.js').Column[]} columns
 * @property {string[]} names the names of the filters
 * @property {string} hint an example for the field of filters
 * @property {[string, Record<string, string>][]} [presets]
 * @property {(at: number, limit: number, filters: Record<string, string>) => string} path the path of a GET that answers rows by position
 * @property {(id: string, row: any) => string | null} href the address of a row's object, if it has one
 * @property {(row: any) => string} [key] what tells a row from others; its id, unless given
 * @property {(root: HTMLElement, id: string) => (() => void) | Promise<() => void>} [panel] shows the chosen row; a list without one only opens rows
 * @property {() => Promise<() => unknown>} empty loads the template for a list without any object
 * @property {() => unknown} [actions] buttons beside the heading
 */

/** Mount such a page. @param {HTMLElement} root @param {ListPage} page */
export function mountListPage(root, page) {
  if (lists.peek() === 'live') return mountPage(root, page, createList);
  return later(() => import('./table.js'), ({ createTable }) => mountPage(root, { ...page, panel: undefined }, createTable));
}

function mountPage(root, page, create) {
  const total = signal(/** @type {number | null} */ (null));
  const problem = signal('');
  const emptyView = signal(/** @type {() => unknown} */ (() => nothing));
  const filtersNow = () => Object.fromEntries([...route.value.query].filter(([name]) => page.names.some((known) =>
    name === known || (known.endsWith('.') && name.startsWith(known)))));
  const change = (filters) => {
    const cleared = Object.fromEntries(Object.keys(filtersNow()).map((name) => [name, null]));
    setQuery({ ...cleared, ...filters, selected: null, from: null });
  };
  const head = element('div', { class: 'page-top' });
  const split = element('div', { class: 'split' });
  const blank = element('div', { class: 'blank' });
  const list = create({
    label: page.title,
    columns: page.columns,
    chosen: page.panel ? route.peek().query.get('selected') : null,
    path: (at, limit) => page.path(at, limit, filtersNow()),
    failed(error) {
      problem.value = error.message;
      if (error.status === 400) total.value = 0;
      else complain(error); // The rows that are known stay.
    },
    key: page.key,
    open(row) {
      const href = page.href(row.id, row);
      if (href !== null) go(href);
    },
    choose: (id) => page.panel && setQuery({ selected: id }),
    counted: (amount) => {
      total.value = amount;
      problem.value = '';
    },
  });
  split.append(list.element);

  let asked = false;
  const loadEmpty = async () => {
    if (asked) return;
    asked = true;
    emptyView.value = await page.empty();
  };
  const isFiltered = () => Object.keys(filtersNow()).length > 0;
  const stops = [
    show(head, () => html`
      <div class="page-head"><h1>${page.title}<small>${total.value === null ? '' : count(total.value)}</small></h1>${total.value === 0 && !isFiltered() ? nothing : (page.actions?.() ?? nothing)}</div>
      ${total.value === 0 && !isFiltered() ? nothing : filterBar({
        label: `Filter ${page.title}`, hint: page.hint, names: page.names, filters: filtersNow(), change, problem: problem.value, presets: page.presets,
      })}`),
    show(blank, () => {
      if (total.value !== 0) return nothing;
      return isFiltered()
        ? html`<div class="empty"><h2>Nothing matches</h2><p>No object has all of these properties.</p><button @click=${() => change({})}>Clear the filters</button></div>`
        : emptyView.value();
    }),
    effect(() => {
      const nothingThere = total.value === 0;
      split.hidden = nothingThere;
      if (nothingThere && !isFiltered()) loadEmpty();
      blank.hidden = !nothingThere;
    }),
    followFilters(list, filtersNow, total),
    page.panel ? followPanel(split, list, page) : () => {},
    addCommands(...filterCommands(isFiltered, () => change({}))),
    list.dispose,
  ];
  root.append(head, split, blank);
  return together(...stops);
}

/** Read the list anew when its filters change. */
function followFilters(list, filtersNow, total) {
  let before = JSON.stringify(filtersNow());
  return effect(() => {
    const text = JSON.stringify(filtersNow());
    if (text === before) return;
    before = text;
    untracked(() => {
      total.value = null;
      list.restart();
    });
  });
}

/** Show the panel of the chosen row, which the address names. */
function followPanel(split, list, page) {
  const close = element('button', { class: 'plain close', type: 'button', 'aria-label': 'Close the panel', title: 'Close the panel (Esc)' }, iconElement('close'));
  const inside = element('div', { class: 'panel-inside' });
  const panel = element('aside', { class: 'panel', 'aria-label': 'Chosen row' }, close, inside);
  close.addEventListener('click', list.close);
  let stop = () => {};
  let before = null;
  const stopFollowing = effect(() => {
    const id = route.value.query.get('selected');
    if (id === before) return;
    before = id;
    untracked(async () => {
      stop();
      stop = () => {};
      inside.replaceChildren();
      list.choose(id);
      if (id === null) {
        panel.remove();
        return;
      }
      split.append(panel);
      const stopThis = await page.panel(inside, id);
      if (before === id) stop = stopThis;
      else stopThis();
    });
  });
  return () => {
    before = undefined;
    stopFollowing();
    stop();
  };
}

/**
 * The filters in a text, by name. A value with spaces is quoted: `q:"two words"`. A name may have a dot: `metadata.team:blue`.
 *
 * @param {string} text
 * @param {string[]} names those that the list knows; `metadata.` knows every name with this beginning
 * @returns {{filters: Record<string, string>, unknown: string[]}}
 */
function parseFilters(text, names) {
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
const filterText = (filters) => Object.entries(filters).map(([name, value]) => `${name}:${/\s/.test(value) ? `"${value}"` : value}`).join(' ');

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
function filterBar({ label, hint, names, filters, change, problem = '', presets = [] }) {
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
const filterCommands = (active, clear) => [
  { id: 'list.filter', label: 'Filter', group: 'List', keys: '/', run: () => document.querySelector('[data-filter]')?.focus() },
  { id: 'list.clear', label: 'Clear the filters', group: 'List', keys: 'x', enabled: active, run: clear },
];
