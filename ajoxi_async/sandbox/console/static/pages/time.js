/** Time: jump to a moment or an event, what is due, marks to go back to, and what past jumps did. */
import { post, send } from '../base/api.js';
import { confirm } from '../frame/dialog.js';
import { counted, fullTime, relative, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, notify } from '../frame/notices.js';
import { addressOf } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { clock, live, moment } from '../feed/store.js';
import { card } from '../widgets/card.js';
import { table } from '../widgets/table.js';
import { advance, canJump, whatIsDue } from '../frame/time_bar.js';
import { html, nothing, show, together } from '../base/view.js';

/** Timers that are listed. */
const LISTED = 30;

export function mount(root) {
  const timers = live(`timers?limit=${LISTED}`);
  const snapshots = live('snapshots');
  const jumps = live('clock/jumps');
  const vocabulary = live('vocabulary');
  root.classList.add('scrolls');
  return together(
    ...[timers, snapshots, jumps, vocabulary].map((one) => one.stop),
    addCommands({ id: 'time.mark', label: 'Make a mark', group: 'Time', keys: 't m', run: makeMark }),
    show(root, () => {
      if (clock.value === null) return html`<h1>Time</h1>`;
      return html`
        <div class="page-head"><h1>Time <small>${fullTime(moment.value)} UTC, ${clock.value.mode} clock</small></h1>
          <button @click=${() => run('time.mark')} title=${tooltip('time.mark')}>${icon('rewind')} Make a mark</button></div>
        ${canJump() ? jumpForms(vocabulary.value.value) : teach()}
        <div class="cards">
          ${card(`Due next${timers.value.value ? ` (${timers.value.value.total})` : ''}`, null, dueView(timers.value.value?.data ?? []))}
          <div class="stack">
            ${card('Marks to go back to', null, marksView(snapshots.value.value?.data ?? []))}
            ${card('Jumps', null, jumpsView(jumps.value.value?.data ?? [], snapshots.value.value?.data ?? []))}
          </div>
        </div>`;
    }),
  );
}

const teach = () => html`<p class="callout">This sandbox runs on a real clock: its time passes by itself and cannot be moved.
  Start it with <code>ajoxi sandbox --clock live</code>, or <code>Sandbox(clock="live")</code>, to pause it, to run it faster, to jump
  a day ahead and to come back.</p>`;

function jumpForms(vocabulary) {
  const toMoment = (event) => {
    event.preventDefault();
    const { value } = event.currentTarget.elements.namedItem('moment');
    if (value) advance({ to: `${value.length === 16 ? `${value}:00` : value}Z` });
  };
  const toEvent = (event) => {
    event.preventDefault();
    const { value } = event.currentTarget.elements.namedItem('event');
    if (value) advance({ until_event: value });
  };
  return html`<div class="jump-forms">
    <form class="field" @submit=${toMoment}><label for="jump-moment">Jump to a moment (UTC)</label>
      <span class="group-row"><input id="jump-moment" name="moment" type="datetime-local" step="1" required min=${new Date(clock.value.at).toISOString().slice(0, 19)}><button>Jump</button></span></form>
    <form class="field" @submit=${toEvent}><label for="jump-event">Jump until an event</label>
      <span class="group-row"><input id="jump-event" name="event" list="event-types" required autocomplete="off" placeholder="call.completed">
        <datalist id="event-types">${eventTypes(vocabulary).map((type) => html`<option value=${type}></option>`)}</datalist><button>Jump</button></span></form>
  </div>`;
}

const eventTypes = (vocabulary) => (vocabulary?.event_types ?? []).map((type) => (typeof type === 'string' ? type : type.type));

function dueView(rows) {
  return table('Due next', [
    ['When', (row) => relative(Date.parse(row.at), moment.value)],
    ['At', (row) => shownTime(row.at)],
    ['What', (row) => whatIsDue(row.kind)],
    ['Object', (row) => (addressOf(row.id ?? '') ? html`<a class="mono" href=${addressOf(row.id)}>${row.id}</a>` : row.id)],
    ['', (row) => (canJump() ? html`<button class="plain" @click=${() => advance({ to: row.at })} aria-label="Jump to this moment" title="Jump to this moment">${icon('next')}</button>` : nothing)],
  ], rows, 'Nothing is due: the world waits for your code.');
}

function marksView(rows) {
  return table('Marks', [
    ['Mark', (row) => html`${row.label || row.id}${row.automatic ? '' : html` <span class="quiet">by hand</span>`}`],
    ['At', (row) => shownTime(row.at)],
    ['Holds', (row) => counted(row.counts.calls ?? row.counts.call ?? 0, 'call')],
    ['', (row) => html`<button @click=${() => rewind(row)}>${icon('rewind')} Rewind</button>
      ${row.automatic ? nothing : html`<button class="plain" aria-label="Delete the mark" title="Delete the mark" @click=${() => attempt(() => send('DELETE', `snapshots/${row.id}`))}>${icon('close')}</button>`}`],
  ], [...rows].reverse(), 'Before each jump a mark is made by itself; ten are kept.');
}

function jumpsView(rows, snapshots) {
  const kept = new Map(snapshots.map((one) => [one.id, one]));
  return table('Jumps', [
    ['Jump', (row) => row.goal],
    ['From', (row) => shownTime(row.from)],
    ['What happened', (row) => html`<span class="sentence">${row.summary}${row.stopped ? ' (stopped)' : ''}</span>`],
    ['', (row) => (kept.has(row.mark) ? html`<button @click=${() => rewind(kept.get(row.mark))}>${icon('rewind')} Undo</button>` : nothing)],
  ], [...rows].reverse(), 'Nobody jumped yet. The buttons in the bar above do, on every page.');
}

async function rewind(mark) {
  const sure = await confirm(`Rewind to ${mark.label || mark.id}?`,
    `The world goes back to ${fullTime(mark.at)}: what happened since then is gone, on every page. Faults stay.`, 'Rewind');
  if (!sure) return;
  await attempt(async () => {
    await post(`snapshots/${mark.id}/restore`);
    notify(`It is ${fullTime(mark.at)} again`);
  });
}

const makeMark = () => attempt(async () => {
  const mark = await post('snapshots', { label: `by hand at ${fullTime(moment.peek())}` });
  notify(`Mark “${mark.label}” made`);
});
