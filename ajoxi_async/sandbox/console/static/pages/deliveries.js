/**
 * The page of deliveries: all of them, filtered by state, type and answer; dead letters are replayed here.
 *
 * Dead letters can be ticked (`x` ticks the row that has the focus), and those that are ticked replayed together.
 */
import { get, query } from '../base/api.js';
import { link, state, text } from '../widgets/states.js';
import { count, counted, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { mountListPage } from '../list/page.js';
import { replay } from '../deliveries/replay.js';
import { address } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { counts } from '../feed/store.js';
import { html, nothing, signal, together } from '../base/view.js';

const stateName = (row) => (row.state === 'pending' && row.attempts > 0 ? 'failing' : row.state);

/** The cell with the box that ticks a dead letter; other deliveries have none. */
function tickCell(ticked) {
  return (cell, row) => {
    let box = cell.firstElementChild;
    if (row.state !== 'dead') {
      box?.remove();
      return;
    }
    if (box === null) {
      box = document.createElement('input');
      box.type = 'checkbox';
      box.tabIndex = -1;
      // The list would choose the row.
      box.addEventListener('click', (event) => event.stopPropagation());
      box.addEventListener('change', () => toggle(ticked, box.value));
      cell.replaceChildren(box);
    }
    box.value = row.id;
    box.checked = ticked.peek().has(row.id);
    box.setAttribute('aria-label', `Tick ${row.id}`);
  };
}

function toggle(ticked, id) {
  const next = new Set(ticked.peek());
  if (!next.delete(id)) next.add(id);
  ticked.value = next;
  for (const box of document.querySelectorAll('.page-deliveries .list input[type=checkbox]')) box.checked = next.has(box.value);
}

const deadOnes = () => counts.value?.deliveries_by_state.dead ?? 0;

const href = (id) => address('deliveries', id);

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  const ticked = signal(/** @type {Set<string>} */ (new Set()));
  const focused = () => document.activeElement?.item ?? null;

  async function replayTicked() {
    if (await replay([...ticked.peek()])) ticked.value = new Set();
  }

  async function replayAll() {
    const { total } = await get('deliveries?state=dead&limit=1');
    if (total > 0 && (await replay(null, total))) ticked.value = new Set();
  }

  const removeCommands = addCommands(
    { id: 'deliveries.tick', label: 'Tick the dead letter', group: 'Deliveries', keys: 's', enabled: () => focused()?.state === 'dead', run: () => toggle(ticked, focused().id) },
    { id: 'deliveries.replay', label: 'Replay the ticked dead letters', group: 'Deliveries', keys: 'r', enabled: () => ticked.value.size > 0, run: replayTicked },
    { id: 'deliveries.replay-all', label: 'Replay all dead letters', group: 'Deliveries', keys: 'R', enabled: () => deadOnes() > 0, run: replayAll },
  );
  const unmount = mountListPage(root, {
    title: 'Deliveries',
    names: ['state', 'type', 'code', 'webhook_id', 'event_id'],
    hint: 'state:dead  type:call.completed  code:5xx',
    presets: [['Dead', { state: 'dead' }], ['Failing', { state: 'failing' }], ['Pending', { state: 'pending' }], ['Delivered', { state: 'delivered' }]],
    href,
    path: (at, limit, filters) => `deliveries${query({ at, limit, ...filters })}`,
    actions: () => (deadOnes() === 0 ? nothing : html`
      ${ticked.value.size > 0 ? html`<button class="primary" title=${tooltip('deliveries.replay')} @click=${() => run('deliveries.replay')}>
        ${icon('rewind')} Replay ${count(ticked.value.size)} ticked</button>` : nothing}
      <button title=${tooltip('deliveries.replay-all')} @click=${() => run('deliveries.replay-all')}>${icon('rewind')} Replay all
        ${counted(deadOnes(), 'dead letter')}</button>`),
    columns: [
      { label: '✓', size: '1.6rem', draw: tickCell(ticked) },
      { label: 'State', size: '7rem', draw: state(stateName) },
      { label: 'Delivery', size: 'minmax(6rem, 1fr)', className: 'mono', draw: link((row) => row.id, (row) => href(row.id)) },
      { label: 'Event', size: 'minmax(9rem, 1.3fr)', from: 'middle', draw: text((row) => row.type) },
      { label: 'Attempts', size: '5rem', className: 'number', from: 'middle', draw: text((row) => String(row.attempts)) },
      { label: 'Last answer', size: 'minmax(5rem, 1fr)', from: 'wide', draw: text((row) => String(row.status ?? row.error ?? '–')) },
      { label: 'Webhook', size: '8rem', className: 'mono', from: 'wide', draw: link((row) => row.webhook_id, (row) => address('webhooks', row.webhook_id)) },
      { label: 'Round', size: '4rem', className: 'number', from: 'wide', draw: text((row) => String(row.round)) },
      { label: 'Next, or end', size: '9rem', className: 'time', from: 'middle', draw: text((row) => shownTime(row.state === 'pending' ? row.due : row.ended_at)) },
    ],
    empty: async () => (await import('../list/empty_lists.js')).deliveries,
  });
  return together(unmount, removeCommands);
}
