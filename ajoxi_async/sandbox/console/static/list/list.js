/**
 * A live list of any length that holds still while one reads it: 60 rows of 36 px, read by their position.
 *
 * Rules:
 * 1. At the top, with no row chosen and the focus elsewhere, the list is live: it shows the newest rows. A scroll, the focus or a
 *    choice makes it hold still; new rows are counted on the pill and not inserted. Rows that are shown keep changing in place.
 * 2. Back at the top, by scrolling, by the pill or by its key, it is live again. The program's own scrolling holds nothing: only the
 *    place where the list stands counts.
 * 3. Only the rows around the visible ones are in the document. `aria-rowcount` and `aria-rowindex` tell the whole truth, and the
 *    row that has the focus stays in the document wherever the list is scrolled.
 * 4. One row is in the order of Tab; arrows, `j`, `k`, Page Up, Page Down, Home and End move between rows.
 */
import { ROW, RowPool } from './pool.js';
import { Rows } from './rows.js';
import { count } from '../base/format.js';
import { complain } from '../frame/notices.js';
import { addCommands, keysText } from '../base/shortcuts.js';
import { epoch } from '../feed/store.js';
import { effect, element, untracked } from '../base/view.js';

/** Rows beyond the visible ones, above and below. */
const MARGIN = 6;
const MOST = 58;
/** At most so many rows flash at a time, and none for so long after more were changed. */
const FLASHING = 6;
const CALM_MS = 1_000;
/** Chromium draws no element taller than this many pixels in full. */
const TALLEST = Math.floor(16_000_000 / ROW);

/**
 * @typedef {object} Column
 * @property {string} label
 * @property {string} size its part of `grid-template-columns`
 * @property {import('../widgets/states.js').Draw} draw
 * @property {string} [narrow] the same in a narrow list
 * @property {'narrow' | 'middle' | 'wide'} [from] the narrowest list that shows it; every list, unless given
 * @property {string} [className]
 */

/**
 * @typedef {object} ListOptions
 * @property {string} label what the list is called
 * @property {Column[]} columns
 * @property {(at: number, limit: number) => string} path the path of a GET that answers rows by their position, the newest first
 * @property {(error: unknown) => void} [failed] the list cannot be read
 * @property {(row: any) => string} [key] what tells a row from others; its id, unless given
 * @property {(row: any) => void} open opens a row: Enter, or a double click
 * @property {(id: string | null) => void} [choose] a row was chosen, or none
 * @property {(total: number) => void} [counted] the number of rows became known or changed
 * @property {string | null} [chosen] the id of the row that is chosen at the beginning
 */

/** Make a list. @param {ListOptions} options */
export function createList(options) {
  const { label, columns, path, open, choose = () => {}, counted = () => {}, failed = complain } = options;
  const rows = new Rows(path, { changed: taken, failed, key: options.key });
  let chosenId = options.chosen ?? null;
  /** The index of the row in the order of Tab. */
  let active = 0;
  let scheduled = 0;
  /** Rows whose object was changed, and the last moment at which too many were. */
  let changes = [];
  let busy = -CALM_MS;
  /** The number of rows that was drawn last. */
  let drawn = -1;

  const body = element('div', { role: 'rowgroup', class: 'list-body' });
  const space = element('div', { role: 'none', class: 'list-space' }, body);
  const head = element('div', { role: 'rowgroup', class: 'list-head' },
    element('div', { role: 'row', class: 'list-row', 'aria-rowindex': 1 }, ...columns.map((column) =>
      element('div', { role: 'columnheader', class: `cell ${(column.className ?? '').replace('mono', '')}`, 'data-from': column.from ?? 'narrow' }, column.label))));
  const grid = element('div', { role: 'grid', class: 'list', 'aria-label': label, 'aria-colcount': columns.length }, head, space);
  const pill = element('button', { class: 'pill', type: 'button' });
  const root = element('div', { class: 'list-frame' }, grid, pill);
  const pool = new RowPool(body, () => newRow(columns));
  for (const name of ['narrow', 'middle', 'wide']) grid.style.setProperty(`--${name}`, template(columns, name));

  /** The height that is left for rows; 0 until it was measured. It is measured when the list is resized, since measuring costs a layout. */
  let height = 0;

  function schedule() {
    if (height > 0) scheduled ||= requestAnimationFrame(draw);
  }

  function taken() {
    counted(rows.total);
    schedule();
  }

  const hasFocus = () => body.contains(document.activeElement);

  function draw() {
    scheduled = 0;
    const top = grid.scrollTop;
    rows.hold(chosenId !== null || top > 0 || hasFocus());
    const shown = Math.min(rows.total, TALLEST);
    const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
    const last = Math.min(shown, first + MOST, Math.ceil((top + height) / ROW) + MARGIN) - 1;
    active = Math.max(0, Math.min(active, shown - 1));
    changes = [];
    pool.arrange(first, last, fill);
    flash();
    rows.ensure(first, last);
    drawPill();
    if (!rows.known || drawn === rows.total) return;
    drawn = rows.total;
    space.style.height = `${shown * ROW}px`;
    grid.setAttribute('aria-rowcount', String(rows.total + 1));
  }

  /** Let changed rows be seen, unless so many change that it would be a flicker, which costs more than all the rest. */
  function flash() {
    const calm = performance.now() - busy > CALM_MS;
    if (changes.length > FLASHING || (changes.length > 0 && !calm)) busy = performance.now();
    for (const row of changes) row.classList.toggle('changed', calm && changes.length <= FLASHING);
  }

  function fill(row, index) {
    const item = rows.at(index);
    const id = item === undefined ? null : rows.idOf(item);
    const tabIndex = index === active ? 0 : -1;
    const selected = String(id !== null && id === chosenId);
    if (row.tabIndex !== tabIndex) row.tabIndex = tabIndex;
    if (row.ariaSelected !== selected) row.ariaSelected = selected;
    row.classList.toggle('loading', item === undefined);
    row.ariaBusy = String(item === undefined);
    if (item === undefined || row.item === item) return;
    const before = row.item !== undefined && rows.idOf(row.item) === id ? row.textContent : null;
    row.item = item;
    columns.forEach((column, place) => column.draw(row.children[place], item));
    if (before !== null && before !== row.textContent) changes.push(row);
    else if (row.classList.contains('changed')) row.classList.remove('changed');
  }

  function drawPill() {
    const newer = rows.newer > 0 ? `, ${count(rows.newer)} new` : '';
    const text = rows.held ? `Paused${newer}` : 'Live';
    if (pill.textContent !== text) pill.textContent = text;
    pill.classList.toggle('paused', rows.held);
    pill.setAttribute('aria-label', rows.held ? `${text}. Show the newest rows` : 'Live: the newest rows are shown');
    pill.title = `Show the newest rows (${keysText('l')})`;
  }

  /** Show the newest rows, and go on showing them. */
  function resume() {
    if (hasFocus()) pill.focus();
    active = 0;
    grid.scrollTop = 0;
    choosing(null);
    rows.hold(false);
    schedule();
  }

  function choosing(id) {
    if (id === chosenId) return;
    chosenId = id;
    choose(id);
    schedule();
  }

  /** Choose nothing, and give the focus back to the row: so the list goes on holding still. */
  function close() {
    pool.of(active)?.focus({ preventScroll: true });
    choosing(null);
  }

  function move(index) {
    if (rows.total === 0) return;
    active = Math.max(0, Math.min(index, Math.min(rows.total, TALLEST) - 1));
    const top = active * ROW;
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + ROW > grid.scrollTop + height) grid.scrollTop = top + ROW - height;
    cancelAnimationFrame(scheduled);
    draw();
    pool.of(active)?.focus({ preventScroll: true });
    const item = rows.at(active);
    // The panel follows once it is open.
    if (chosenId !== null && item !== undefined) choosing(rows.idOf(item));
  }

  const page = () => Math.max(1, Math.floor(height / ROW) - 1);
  const MOVES = {
    ArrowDown: () => active + 1, ArrowUp: () => active - 1, PageDown: () => active + page(), PageUp: () => active - page(),
    Home: () => 0, End: () => rows.total - 1,
  };

  grid.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement) || event.target.role !== 'row') return;
    const item = rows.at(active);
    if (MOVES[event.key] !== undefined) move(MOVES[event.key]());
    else if (event.key === 'Enter' && item !== undefined) open(item);
    else if (event.key === ' ' && item !== undefined) choosing(chosenId === rows.idOf(item) ? null : rows.idOf(item));
    else return;
    event.preventDefault();
  });

  body.addEventListener('click', (event) => {
    if (event.defaultPrevented || !(event.target instanceof Element) || event.target.closest('a') !== null) return;
    const index = indexOf(event.target);
    const item = rows.at(index);
    if (item === undefined) return;
    active = index;
    pool.of(index).focus({ preventScroll: true });
    choosing(rows.idOf(item));
  });
  body.addEventListener('dblclick', (event) => {
    const item = rows.at(indexOf(event.target));
    if (item !== undefined) open(item);
  });
  body.addEventListener('focusin', (event) => {
    const index = indexOf(event.target);
    if (index >= 0 && index !== active) active = index;
    schedule();
  });

  const indexOf = (target) => target.closest('[role=row]')?.index ?? -1;

  body.addEventListener('focusout', schedule);
  grid.addEventListener('scroll', schedule, { passive: true });
  pill.addEventListener('click', resume);
  // It draws at once: this is called before the frame with the new size is painted.
  const resized = new ResizeObserver(() => {
    height = Math.max(grid.clientHeight - head.offsetHeight, ROW);
    cancelAnimationFrame(scheduled);
    draw();
  });
  resized.observe(grid);

  const step = (by) => () => move(hasFocus() ? active + by : active);
  const removeCommands = addCommands(
    { id: 'list.down', label: 'Next row', group: 'List', keys: 'j', run: step(1) },
    { id: 'list.up', label: 'Row before', group: 'List', keys: 'k', run: step(-1) },
    { id: 'list.live', label: 'Show the newest rows', group: 'List', keys: 'l', run: resume },
    { id: 'list.close', label: 'Close the panel', group: 'List', keys: 'Escape', enabled: () => chosenId !== null, run: close },
  );

  // After a reset or a rewind no known row can be trusted.
  let lived = epoch.peek();
  const stopEpoch = effect(() => {
    if (lived !== null && epoch.value !== lived) untracked(() => rows.restart());
    lived = epoch.value;
  });

  rows.restart();
  return {
    element: root,
    /** The filters changed: begin at the top again. */
    restart() {
      pool.clear();
      drawn = -1;
      rows.restart();
      resume();
    },
    choose: choosing,
    close,
    dispose() {
      cancelAnimationFrame(scheduled);
      resized.disconnect();
      removeCommands();
      stopEpoch();
      rows.stop();
    },
  };
}

function newRow(columns) {
  const cells = columns.map((column) =>
    element('div', { role: 'gridcell', class: `cell ${column.className ?? ''}`, 'data-from': column.from ?? 'narrow' }));
  return element('div', { role: 'row', class: 'list-row', tabindex: '-1' }, ...cells);
}

const WIDTHS = ['narrow', 'middle', 'wide'];

/** The columns of a list of one of three widths. */
function template(columns, width) {
  const shown = columns.filter((column) => WIDTHS.indexOf(column.from ?? 'narrow') <= WIDTHS.indexOf(width));
  return shown.map((column) => (width === 'narrow' && column.narrow) || column.size).join(' ');
}
