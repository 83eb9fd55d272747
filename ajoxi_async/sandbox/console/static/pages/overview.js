/** The overview: what is going on now, what failed last, what was given up, and what is due next. */
import { statusBadge } from '../widgets/states.js';
import { liveCalls, troubledDeliveries } from '../frame/side_bar.js';
import { emptyPage } from '../widgets/empty.js';
import { count, phone, relative, shownTime, words } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { address, addressOf } from '../base/router.js';
import { counts, followTranscript, live, moment } from '../feed/store.js';
import { card } from '../widgets/card.js';
import { table } from '../widgets/table.js';
import { placeTestCall, TEST_CALL } from '../calls/test_call.js';
import { whatIsDue } from '../frame/time_bar.js';
import { effect, html, nothing, show, signal, svg, together, untracked } from '../base/view.js';

/** Live calls whose lines are shown. */
const HEARD = 6;

export function mount(root) {
  const { value: overview, stop } = live('overview');
  const lines = signal(/** @type {Record<string, {speaker: string, text: string}>} */ ({}));
  root.classList.add('scrolls');
  return together(
    stop,
    listen(overview, lines),
    show(root, () => html`
      <div class="page-head"><h1>Overview</h1>
        ${isEmpty(overview.value) ? nothing : html`<button @click=${placeTestCall}>Place a test call</button>`}</div>
      ${overview.value === null ? nothing : isEmpty(overview.value) ? emptyView() : filledView(overview.value, lines.value)}`),
  );
}

const isEmpty = (shown) => shown !== null && shown.counts.calls + shown.counts.messages + shown.counts.requests === 0;

/** Hear what is being said in the live calls. */
function listen(overview, lines) {
  const heard = new Map();
  const stop = effect(() => {
    const wanted = new Set((overview.value?.live_calls ?? []).slice(0, HEARD).map((call) => call.id));
    untracked(() => {
      for (const [id, stopHearing] of heard) if (!wanted.has(id)) {
        stopHearing();
        heard.delete(id);
      }
      for (const id of wanted) if (!heard.has(id)) heard.set(id, followTranscript(id, ({ segments }) => {
        if (segments.length) lines.value = { ...lines.peek(), [id]: segments.at(-1) };
      }));
    });
  });
  return () => {
    stop();
    for (const stopHearing of heard.values()) stopHearing();
  };
}

const emptyView = () => emptyPage({
  icon: 'calls',
  title: 'This world is empty',
  text: 'It is a whole phone company in one process: calls ring and people talk, messages are delivered, webhooks are signed and sent. Place a call and watch it, or point your code at this address.',
  action: 'Place a test call',
  run: placeTestCall,
  request: TEST_CALL,
});

function tile(name, href, amount, text, tone = '') {
  return html`<a class="tile ${amount ? tone : ''}" href=${href}><span class="quiet">${icon(name)} ${text}</span><strong>${count(amount)}</strong></a>`;
}

function filledView({ counts: shown, live_calls: calls, failures, dead_letters: dead, due, requests_by_second: rate }, lines) {
  const current = counts.value ?? shown;
  return html`
    <div class="tiles">
      ${tile('calls', address('calls', null, { status: 'answered' }), liveCalls(current), 'live calls')}
      ${tile('calls', address('calls'), current.calls, 'calls')}
      ${tile('messages', address('messages'), current.messages, 'messages')}
      ${tile('deliveries', address('deliveries', null, { state: 'failing' }), troubledDeliveries(current), 'failing deliveries', 'bad')}
      ${tile('requests', address('requests'), rate.counts.reduce((sum, one) => sum + one, 0), 'requests a minute')}
    </div>
    ${rateLine(rate.counts)}
    <div class="cards">
      ${card('Live calls', address('calls'), liveView(calls, lines))}
      ${card('Due next', address('time'), table('Due next', [
        ['When', (row) => relative(Date.parse(row.at), moment.value)],
        ['What', (row) => whatIsDue(row.kind)],
        ['Object', (row) => linkTo(row.id)],
      ], due, 'Nothing is due: the world waits for your code.'))}
      ${card('Last failures', address('requests', null, { code: '5xx' }), table('Last failures', [
        ['Answer', (row) => statusBadge(row.status)],
        ['Request', (row) => html`<a class="mono" href=${address('requests', row.id)}>${row.method} ${row.url}</a>`],
        ['Fault', (row) => row.faults.map((fault) => fault.action).join(', ') || '–'],
      ], failures, 'No request failed.'))}
      ${card('Dead letters', address('deliveries', null, { state: 'dead' }), table('Dead letters', [
        ['Event', (row) => html`<a href=${address('deliveries', row.id)}>${row.type}</a>`],
        ['Attempts', (row) => row.attempts],
        ['Given up', (row) => shownTime(row.ended_at)],
      ], dead, 'No delivery was given up.'))}
    </div>`;
}

const linkTo = (id) => {
  const href = addressOf(id ?? '');
  return href ? html`<a class="mono" href=${href}>${id}</a>` : html`<span class="mono">${id}</span>`;
};

function liveView(calls, lines) {
  if (calls.length === 0) return html`<p class="quiet none">Nobody is on the phone.</p>`;
  return html`<ul class="live">${calls.slice(0, HEARD).map((call) => html`
    <li><a href=${address('calls', call.id)}>${phone(call.direction === 'inbound' ? call.from : call.to)}</a>
      <span class="quiet">${words(call.status)}</span>
      <p>${lines[call.id] ? html`<span class="quiet">${words(lines[call.id].speaker)}:</span> ${lines[call.id].text}` : '…'}</p></li>`)}</ul>`;
}

const WIDTH = 600;
const HEIGHT = 40;

/** The requests of each of the last sixty seconds. */
function rateLine(amounts) {
  const most = Math.max(...amounts, 1);
  if (amounts.every((one) => one === 0)) return nothing;
  const bar = WIDTH / amounts.length;
  const path = amounts.map((one, place) => (one ? `M${place * bar + bar / 2} ${HEIGHT}V${HEIGHT - (one / most) * (HEIGHT - 4)}` : '')).join('');
  return html`<figure class="rate"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img"
    aria-label="Requests in each second of the last minute, at most ${most} a second">${svg`<path d=${path}></path>`}</svg>
    <figcaption class="quiet">at most ${most} a second in the last minute</figcaption></figure>`;
}
