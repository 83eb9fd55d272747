/**
 * A page with one list: heading with the number of rows, filters, the list, and a panel beside it that shows the chosen row.
 *
 * Filters and the chosen row are in the address, each under its own name.
 */
import { filterBar, filterCommands } from './filters.js';
import { count } from './format.js';
import { iconElement } from './icons.js';
import { createList } from './list.js';
import { complain } from './notices.js';
import { go, route, setQuery } from './router.js';
import { addCommands } from './shortcuts.js';
import { effect, element, html, nothing, show, signal, untracked } from './view.js';

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
 * @property {() => unknown} empty the template where there is no object at all
 * @property {() => unknown} [actions] buttons beside the heading
 */

/** Mount such a page. @param {HTMLElement} root @param {ListPage} page */
export function mountListPage(root, page) {
  const total = signal(/** @type {number | null} */ (null));
  const problem = signal('');
  const filtersNow = () => Object.fromEntries([...route.value.query].filter(([name]) => page.names.some((known) =>
    name === known || (known.endsWith('.') && name.startsWith(known)))));
  const change = (filters) => {
    const cleared = Object.fromEntries(Object.keys(filtersNow()).map((name) => [name, null]));
    setQuery({ ...cleared, ...filters, selected: null });
  };
  const head = element('div', { class: 'page-top' });
  const split = element('div', { class: 'split' });
  const blank = element('div', { class: 'blank' });
  const list = createList({
    label: page.title,
    columns: page.columns,
    chosen: page.panel ? route.peek().query.get('selected') : null,
    path: (at, limit) => page.path(at, limit, filtersNow()),
    failed(error) {
      if (error.status !== 400) complain(error);
      problem.value = error.message;
      total.value = 0;
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
        : page.empty();
    }),
    effect(() => {
      const nothingThere = total.value === 0;
      split.hidden = nothingThere;
      blank.hidden = !nothingThere;
    }),
    followFilters(list, filtersNow, total),
    page.panel ? followPanel(split, list, page) : () => {},
    addCommands(...filterCommands(isFiltered, () => change({}))),
    list.dispose,
  ];
  root.append(head, split, blank);
  return () => {
    for (const stop of stops) stop();
  };
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
