/**
 * A list as a plain table of 200 rows a page, for screen readers, for printing, and to find text with the browser.
 *
 * Rules:
 * 1. It stands still: rows are read when it is opened, when another page is asked for, and after a reset or a rewind. How many objects
 *    came since is on the button that shows the newest ones.
 * 2. The position of its first row is in the address.
 */
import { get } from '../base/api.js';
import { count } from '../base/format.js';
import { route, setQuery } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { effect, element, html, nothing, show, signal, untracked } from '../base/view.js';
import { epoch, follow } from '../feed/store.js';
import { complain } from '../frame/notices.js';

const ROWS = 200;

/** Make a table. It has the interface of `createList`. @param {import('./list.js').ListOptions} options */
export function createTable({ label, columns, path, counted = () => {}, failed = complain }) {
  const shown = signal(/** @type {{data: any[], at: number, total: number} | null} */ (null));
  const newest = signal(/** @type {number | null} */ (null));
  const body = element('tbody');
  const table = element('table', { class: 'plain-table' },
    element('caption', { class: 'hidden' }, label),
    element('thead', {}, element('tr', {}, ...columns.map((column) => element('th', { scope: 'col' }, column.label)))), body);
  const pager = element('nav', { class: 'pager', 'aria-label': 'Pages of the table' });
  const root = element('div', { class: 'table-frame' }, pager, element('div', { class: 'scroll', role: 'region', tabindex: '0', 'aria-label': label }, table));
  let reads = 0;

  async function read(at) {
    reads += 1;
    const mine = reads;
    try {
      const answer = await get(path(at, ROWS));
      if (mine !== reads) return;
      draw(answer.data);
      shown.value = answer;
      counted(answer.total);
    } catch (error) {
      if (mine === reads) failed(error);
    }
  }

  function draw(data) {
    body.replaceChildren(...data.map((item) => {
      const cells = columns.map((column) => {
        const cell = element('td', { class: (column.className ?? '') });
        column.draw(cell, item);
        return cell;
      });
      // In a live list the row has the focus in place of what is in it.
      for (const one of cells.flatMap((cell) => [...cell.querySelectorAll('[tabindex="-1"]')])) one.tabIndex = 0;
      return element('tr', {}, ...cells);
    }));
  }

  function turn(at) {
    setQuery({ from: at > 0 ? String(at) : null });
    read(at);
  }

  const came = () => (newest.value === null || shown.value === null ? 0 : Math.max(0, newest.value - shown.value.total));
  const isFirst = () => (shown.value?.at ?? 0) === 0;
  const isLast = () => shown.value === null || shown.value.at + ROWS >= shown.value.total;
  const button = (id, text, disabled) => html`<button title=${tooltip(id)} ?disabled=${disabled} @click=${() => run(id)}>${text}</button>`;
  const pagerView = () => {
    if (shown.value === null) return nothing;
    const { at, data, total } = shown.value;
    return html`
      ${button('table.newest', came() > 0 ? `Newest, ${count(came())} new` : 'Newest', false)}
      ${button('table.newer', 'Newer', isFirst())}
      <span role="status">Rows ${count(Math.min(at + 1, total))} to ${count(at + data.length)} of ${count(total)}</span>
      ${button('table.older', 'Older', isLast())}
      ${button('table.oldest', 'Oldest', isLast())}`;
  };

  let stopFollowing = () => {};
  function followNewest() {
    stopFollowing();
    stopFollowing = follow(path(0, 1), ({ total = null }) => {
      newest.value = total;
    });
  }

  let lived = epoch.peek();
  const stops = [
    show(pager, pagerView),
    addCommands(
      { id: 'table.newest', label: 'Show the newest rows', group: 'Table', keys: 'l', run: () => turn(0) },
      { id: 'table.newer', label: 'Newer rows', group: 'Table', keys: ',', enabled: () => !isFirst(), run: () => turn(Math.max(0, shown.value.at - ROWS)) },
      { id: 'table.older', label: 'Older rows', group: 'Table', keys: '.', enabled: () => !isLast(), run: () => turn(shown.value.at + ROWS) },
      { id: 'table.oldest', label: 'Oldest rows', group: 'Table', keys: ';', enabled: () => !isLast(),
        run: () => turn(Math.floor((shown.value.total - 1) / ROWS) * ROWS) },
    ),
    effect(() => {
      if (lived !== null && epoch.value !== lived) untracked(() => turn(0));
      lived = epoch.value;
    }),
  ];
  followNewest();
  read(Number(route.peek().query.get('from')) || 0);
  return {
    element: root,
    /** The filters changed: begin at the top again. */
    restart() {
      followNewest();
      turn(0);
    },
    choose() {},
    close() {},
    dispose() {
      reads += 1;
      stopFollowing();
      for (const stop of stops) stop();
    },
  };
}
