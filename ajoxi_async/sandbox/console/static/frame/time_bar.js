/**
 * The bar of time on every page: what time it is in the world, play, pause, speed, jumps, and what is due next.
 */
import { get, post, send } from '../base/api.js';
import { fullTime, relative } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, notify } from './notices.js';
import { address } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { clock, follow, moment, setClock } from '../feed/store.js';
import { html, nothing, show, signal, together } from '../base/view.js';

const SPEEDS = [1, 10, 100];
const JUMPS = [
  { id: 'time.minute', text: '+1 min', seconds: 60, keys: 't 1' },
  { id: 'time.ten-minutes', text: '+10 min', seconds: 600, keys: 't 2' },
  { id: 'time.hour', text: '+1 h', seconds: 3_600, keys: 't 3' },
  { id: 'time.day', text: '+24 h', seconds: 86_400, keys: 't 4' },
];

/** The next timer: moment, kind and id; `null` if nothing is due. */
const nextDue = signal(null);
const jumping = signal(false);
/** Whether the controls are open on a narrow page. */
const open = signal(false);

/** Follow what is due next. */
const followDue = () => follow('timers?limit=1', ({ data = [] }) => {
  nextDue.value = data[0] ?? null;
});

/** Whether time can be advanced: a real clock only passes by itself. */
export const canJump = () => clock.value !== null && ['live', 'manual', 'auto'].includes(modeOf(clock.value));
const canFlow = () => clock.value !== null && modeOf(clock.value) === 'live';
/** @param {{mode: string}} shown */
const modeOf = (shown) => shown.mode.split('=')[0];

/**
 * Advance the world's time and say what happened.
 *
 * @param {object} goal the body of `POST clock/advance`
 */
export async function advance(goal) {
  jumping.value = true;
  await attempt(async () => {
    await post('clock/advance', goal);
    const { data } = await get('clock/jumps');
    if (data.length) notify(data.at(-1).summary, address('time'));
  });
  jumping.value = false;
}

const setSpeed = (speed) => attempt(async () => {
  setClock(await post('clock/run', { speed }));
});

const playOrPause = () => attempt(async () => {
  setClock(await post(clock.peek().running ? 'clock/pause' : 'clock/run'));
});

const stop = () => attempt(() => send('DELETE', 'clock/advance'));

/** Whether an advance is under way, this page's or another's. */
const advancing = () => jumping.value || Boolean(clock.value?.advance);

/** The commands of time, which work on every page. */
function timeCommands() {
  const ready = () => canJump() && !advancing();
  const faster = (step) => {
    const place = SPEEDS.findIndex((speed) => speed >= (clock.peek().speed ?? 1));
    setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, place + step))]);
  };
  return [
    { id: 'time.play', label: 'Pause or play time', group: 'Time', keys: 'p', enabled: canFlow, run: playOrPause },
    { id: 'time.next', label: 'Jump to the next event', group: 'Time', keys: 'n', enabled: ready, run: () => advance({ next: true }) },
    ...JUMPS.map((jump) => ({
      id: jump.id, label: `Jump ${jump.text}`, group: 'Time', keys: jump.keys, enabled: ready,
      run: () => advance({ seconds: jump.seconds }),
    })),
    { id: 'time.idle', label: 'Jump until nothing is due', group: 'Time', keys: 't i', enabled: ready, run: () => advance({ until_idle: true }) },
    { id: 'time.stop', label: 'Stop the jump', group: 'Time', keys: 't s', enabled: advancing, run: stop },
    { id: 'time.slower', label: 'Slower', group: 'Time', keys: '[', enabled: canFlow, run: () => faster(-1) },
    { id: 'time.faster', label: 'Faster', group: 'Time', keys: ']', enabled: canFlow, run: () => faster(1) },
  ];
}

const WHAT = { end: 'call ends', answer: 'call is answered', ring: 'call rings', deliver: 'delivery attempt', record: 'recording is ready' };

/** What a timer does, in words. @param {string} kind */
export const whatIsDue = (kind) => WHAT[kind] ?? kind.replaceAll('_', ' ');

function nextButton() {
  const due = nextDue.value;
  const text = due === null ? 'nothing is due' : `${whatIsDue(due.kind)} ${relative(Date.parse(due.at), moment.value)}`;
  return html`<button class="next" title=${tooltip('time.next')} ?disabled=${due === null} @click=${() => run('time.next')}>${icon('next')}
    <span>Next:</span> <span class="quiet">${text}</span></button>`;
}

function progressView() {
  const { advance: under } = clock.value;
  const text = under?.to ? `${fullTime(under.now)} of ${fullTime(under.to)}` : 'Jumping…';
  const share = under?.to ? (Date.parse(under.now) - Date.parse(under.from)) / (Date.parse(under.to) - Date.parse(under.from)) : null;
  return html`<span class="jump-progress"><progress aria-label="Jump" value=${share ?? nothing} max="1"></progress><span>${text}</span>
    <button title=${tooltip('time.stop')} @click=${() => run('time.stop')}>${icon('stop')} Stop</button></span>`;
}

function controls() {
  if (!canJump()) {
    const mode = modeOf(clock.value);
    return html`<p class="quiet">Time is ${mode}. Start the sandbox with <code>--clock live</code> to pause, jump and rewind.</p>`;
  }
  if (advancing()) return progressView();
  return html`
    ${canFlow() ? html`<span class="group" role="group" aria-label="Speed">${SPEEDS.map((speed) => html`
      <button aria-pressed=${clock.value.speed === speed} @click=${() => setSpeed(speed)}>${speed}×</button>`)}</span>` : nothing}
    <span class="group" role="group" aria-label="Jump">${JUMPS.map((jump) => html`
      <button title=${tooltip(jump.id)} @click=${() => run(jump.id)}>${jump.text}</button>`)}</span>
    <button title=${tooltip('time.idle')} @click=${() => run('time.idle')}>Until idle</button>
    <a class="button" href=${address('time')} aria-label="Rewind: marks to go back to" title="Rewind: marks to go back to">${icon('rewind')}</a>
    ${nextButton()}`;
}

/** Show the bar. @param {HTMLElement} root */
export function mountTimeBar(root) {
  return together(followDue(), show(root, timeBar), addCommands(...timeCommands()));
}

function timeBar() {
  if (clock.value === null) return html`<section class="time-bar" aria-label="Time"></section>`;
  const { running } = clock.value;
  return html`
    <section class="time-bar" aria-label="Time">
      ${canFlow() ? html`<button class="play" aria-label=${running ? 'Pause' : 'Play'} title=${tooltip('time.play')}
        @click=${() => run('time.play')}>${icon(running ? 'pause' : 'play')}</button>` : nothing}
      <time class="now" datetime=${new Date(moment.value).toISOString()}>${fullTime(moment.value)}</time>
      <button class="plain more" aria-expanded=${open.value} aria-controls="time-controls" aria-label="Time controls" @click=${() => {
        open.value = !open.value;
      }}>${icon('more')}</button>
      <div id="time-controls" class="time-controls ${open.value ? 'open' : ''}">${controls()}</div>
    </section>`;
}
