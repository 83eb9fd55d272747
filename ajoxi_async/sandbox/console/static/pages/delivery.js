/**
 * The page of one delivery: its timeline, its attempts, two of them compared, and its replay.
 *
 * Rules:
 * 1. Without a chosen attempt the newest is shown, and the page follows the next one. A chosen one stays (`?attempt=1.3`).
 * 2. After a replay nothing is chosen, so that the page shows the new round as soon as it has an attempt.
 */
import { openLatest } from '../frame/latest.js';
import { post, send } from '../base/api.js';
import { attemptView } from '../deliveries/attempt_view.js';
import { attemptsDiff } from '../deliveries/attempts_diff.js';
import { badge } from '../widgets/states.js';
import { deliveryAsCurl } from '../deliveries/delivery_curl.js';
import { confirm } from '../frame/dialog.js';
import { counted, latency, relative, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, copy, notify } from '../frame/notices.js';
import { followObject, objectView } from '../widgets/object_view.js';
import { replay } from '../deliveries/replay.js';
import { address, go, route, setQuery } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { moment } from '../feed/store.js';
import { isDelivered, roundsOf } from '../deliveries/timeline.js';
import { timelineView } from '../deliveries/timeline_view.js';
import { objectTable } from '../widgets/table.js';
import { computed, effect, html, nothing, show, signal, together } from '../base/view.js';

/** @type {import('../pages.js').Mount} */
export function mount(root, { id, title }) {
  return id === 'latest' ? openLatest('deliveries') : mountDelivery(root, id, title);
}

function mountDelivery(root, id, title) {
  root.classList.add('scrolls');
  const delivery = followObject(`deliveries/${encodeURIComponent(id)}`);
  const scale = signal(/** @type {'log' | 'linear'} */ ('log'));
  const marks = computed(() => {
    const { value } = delivery.state.value;
    return value === null ? [] : roundsOf(value).flatMap((round) => round.marks.map((mark) => ({ ...mark, since: round.since })));
  });
  const made = computed(() => marks.value.filter((mark) => mark.attempt !== null));
  const named = (name) => made.value.find((mark) => mark.key === route.value.query.get(name)) ?? null;
  const chosen = computed(() => named('attempt') ?? made.value.at(-1) ?? null);
  const other = computed(() => (chosen.value === null ? null : named('with')));

  const step = (by) => () => {
    const place = made.peek().indexOf(chosen.peek()) + by;
    if (made.peek()[place] !== undefined) setQuery({ attempt: made.peek()[place].key });
  };
  const compare = () => setQuery({ with: other.peek() !== null ? null : (made.peek().find((mark) => mark.key !== chosen.peek().key)?.key ?? null) });
  const curl = () => copy(deliveryAsCurl(chosen.peek().attempt, delivery.state.peek().value.body), 'curl');
  const again = async () => {
    if (await replay([id])) setQuery({ attempt: null, with: null });
  };
  const path = `deliveries/${encodeURIComponent(id)}`;
  const retry = () => attempt(async () => {
    await post(`${path}/retry`);
    setQuery({ attempt: null, with: null });
  });
  const resend = () => attempt(async () => {
    await post(`${path}/resend`);
    setQuery({ attempt: null, with: null });
  });
  const discard = async () => {
    if (!(await confirm(`Discard ${id}?`, 'It is removed with its attempts, and cannot be replayed.', 'Discard'))) return;
    await attempt(async () => {
      await send('DELETE', `dead-letters/${encodeURIComponent(id)}`);
      notify(`${id} is discarded`);
      go(address('deliveries'));
    });
  };
  const stateNow = () => delivery.state.value.value?.state;
  const has = () => chosen.value !== null;
  const removeCommands = addCommands(
    { id: 'delivery.replay', label: 'Replay this delivery', group: 'Delivery', keys: 'r', enabled: () => stateNow() === 'dead', run: again },
    { id: 'delivery.retry', label: 'Make the next attempt now', group: 'Delivery', keys: 'r', enabled: () => stateNow() === 'pending', run: retry },
    { id: 'delivery.resend', label: 'Deliver it again', group: 'Delivery', keys: 'r', enabled: () => ['delivered', 'dropped'].includes(stateNow()), run: resend },
    { id: 'delivery.next', label: 'Next attempt', group: 'Delivery', keys: 'j', enabled: has, run: step(1) },
    { id: 'delivery.before', label: 'Attempt before', group: 'Delivery', keys: 'k', enabled: has, run: step(-1) },
    { id: 'delivery.compare', label: 'Compare with the first attempt', group: 'Delivery', keys: 'd', enabled: () => made.value.length > 1, run: compare },
    { id: 'delivery.curl', label: 'Copy the attempt as curl', group: 'Delivery', keys: 'c', enabled: has, run: curl },
  );
  const stopTitle = effect(() => title(`${id} ${delivery.state.value.value?.state ?? ''}`));

  const row = (mark) => html`
    <tr aria-current=${mark.key === chosen.value?.key ? 'true' : nothing}>
      <th scope="row"><a href=${address('deliveries', id, { attempt: mark.key, with: route.value.query.get('with') })}>${mark.key}</a></th>
      <td>${badge(mark.state, mark.attempt.status ?? 'no answer')}</td>
      <td>${shownTime(mark.at)}</td><td class="number">${latency(mark.attempt.latency)}</td>
    </tr>`;

  const pick = (name, label, none) => html`
    <label>${label} <select @change=${(event) => setQuery({ [name]: event.target.value || null })}>
      ${none ? html`<option value="" ?selected=${other.value === null}>${none}</option>` : nothing}
      ${made.value.map((mark) => html`<option value=${mark.key} .selected=${mark.key === (name === 'with' ? other : chosen).value?.key}>${mark.key}, ${mark.attempt.status ?? 'no answer'}</option>`)}
    </select></label>`;

  const inspector = (value) => html`
    <section class="attempt" aria-label="Attempt">
      <div class="toolbar">
        ${pick('attempt', 'Attempt', '')}${pick('with', 'compared with', 'none')}
        <button title=${tooltip('delivery.curl')} @click=${() => run('delivery.curl')}>${icon('copy')} Copy as curl</button>
      </div>
      ${other.value === null || other.value.key === chosen.value.key ? attemptView(chosen.value.attempt, value.body)
        : attemptsDiff(...[other.value, chosen.value].sort((one, two) => one.at - two.at).map((mark) => mark.attempt), value.body)}
    </section>`;

  const said = (value) => {
    const { length } = made.value;
    const last = made.value.at(-1);
    if (value.state === 'pending') {
      const next = value.planned[0] === undefined ? '' : `, the next ${relative(Date.parse(value.planned[0]), moment.value)}`;
      return length === 0 ? `Not tried yet${next}` : `${counted(length, 'attempt')}${next}`;
    }
    return `${counted(length, 'attempt')}${last && isDelivered(last.attempt) ? `, answered ${last.attempt.status}` : ''}`;
  };

  const action = (name, words, className = '') => html`<button class=${className} title=${tooltip(name)} @click=${() => run(name)}>${icon('rewind')} ${words}</button>`;
  const actionsOf = ({ state }) => {
    if (state === 'dead') return html`<button class="danger" @click=${discard}>Discard</button>${action('delivery.replay', 'Replay', 'primary')}`;
    return state === 'pending' ? action('delivery.retry', 'Try now') : action('delivery.resend', 'Deliver again');
  };

  const shown = (value) => html`
    <div class="page-head"><h1 tabindex="-1" data-focus><code>${value.id}</code>${badge(value.state)}</h1>
      ${actionsOf(value)}</div>
    <p class="facts"><span role="status">${said(value)}</span>
      <span><span class="quiet">event</span> <code>${value.type}</code> <code>${value.event_id}</code></span>
      <span><span class="quiet">to</span> <a href=${address('webhooks', value.webhook_id)}>${value.webhook_id}</a></span></p>
    <section class="surface timeline-panel" aria-label="Timeline">
      ${timelineView(value, { scale: scale.value, chosen: chosen.value?.key ?? null, now: moment.value, choose: (key) => setQuery({ attempt: key }) })}
      <p class="legend"><span class="group" role="group" aria-label="Axis">${['log', 'linear'].map((name) => html`
        <button aria-pressed=${scale.value === name} @click=${() => {
          scale.value = name;
        }}>${name === 'log' ? 'Logarithmic' : 'Linear'}</button>`)}</span>
        ${value.planned.length ? html`<span class="quiet">Hollow marks are planned, if every attempt before them fails.</span>` : nothing}</p>
    </section>
    ${made.value.length ? html`<div class="attempts-split">
      ${objectTable('Attempts', ['Attempt', 'Answer', 'At', 'Latency'], made.value.map(row), 'attempts')}
      ${inspector(value)}</div>` : html`<p class="quiet">The first attempt is made as soon as the clock moves.</p>`}`;

  const stop = show(root, () => objectView(id, delivery.state.value, 'deliveries', shown));
  return together(stop, stopTitle, removeCommands, delivery.stop);
}
