/**
 * One call: what state it is in, what is being said, its recording, what it fired, and which requests were about it.
 *
 * The page at `/calls/{id}`, and the panel beside the list of calls.
 */
import { openLatest } from '../frame/latest.js';
import { badge } from '../widgets/states.js';
import { callRequests, callTimeline, callWebhooks } from '../calls/history.js';
import { minutes, phone, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { codeBlock, pretty } from '../widgets/json.js';
import { address, BASE, go } from '../base/router.js';
import { sentimentLine } from '../calls/sentiment.js';
import { addCommands, tooltip } from '../base/shortcuts.js';
import { follow, followTranscript, moment } from '../feed/store.js';
import { chosenTab, tabRow } from '../widgets/tabs.js';
import { createTranscript } from '../calls/transcript.js';
import { effect, element, html, nothing, show, signal, untracked } from '../base/view.js';

const TABS = [
  { name: 'transcript', title: 'Transcript' },
  { name: 'timeline', title: 'Timeline' },
  { name: 'webhooks', title: 'Webhooks' },
  { name: 'requests', title: 'Requests' },
  { name: 'json', title: 'JSON' },
];

/** The tabs that are views of more than the call, each mounted while it is chosen. */
const HISTORIES = { timeline: callTimeline, webhooks: callWebhooks, requests: callRequests };

export function mount(root, { id, title }) {
  if (id === 'latest') return openLatest('calls');
  const remove = addCommands({ id: 'call.back', label: 'Back to the calls', group: 'Call', keys: 'Escape', run: () => go(address('calls')) });
  const stop = mountCall(root, id, { title });
  return () => {
    remove();
    stop();
  };
}

/**
 * Show a call.
 *
 * @param {HTMLElement} root
 * @param {string} id
 * @param {{title?: (text: string) => void, inPanel?: boolean}} options
 */
export function mountCall(root, id, { title = () => {}, inPanel = false }) {
  const call = signal(/** @type {any} */ (null));
  const problem = signal('');
  const spoken = signal({ finals: [], lines: 0, ended: false });
  const transcript = createTranscript();
  const head = element('div', { class: 'call-head' });
  const tabs = element('div');
  const body = element('div', { class: 'call-tab', role: 'tabpanel', tabindex: '-1' });
  root.classList.add('call');
  root.append(head, tabs, body);

  const hear = ({ anew, segments, completed }) => {
    if (anew) transcript.clear();
    transcript.show(segments);
    if (completed) transcript.end();
    spoken.value = { finals: transcript.finals(), lines: transcript.size(), ended: Boolean(completed) };
  };
  const stops = [
    follow(`v1/calls/${encodeURIComponent(id)}`, (answer) => {
      if (answer.error) {
        problem.value = `There is no call ${id} in this world.`;
        return;
      }
      problem.value = '';
      call.value = answer;
      title(`${phone(answer.to)} ${answer.disposition ?? answer.status}`);
    }),
    followTranscript(id, hear),
    show(head, () => (problem.value ? html`<h1>No such call</h1><p role="alert">${problem.value}</p>` : headView(call.value, inPanel))),
    show(tabs, () => (call.value === null || problem.value ? nothing : tabRow('About the call', TABS))),
    followTab(body, id, call, problem, spoken, transcript),
    transcript.dispose,
  ];
  return () => {
    for (const stop of stops) stop();
    root.classList.remove('call');
  };
}

/** Show what belongs to the chosen tab. */
function followTab(body, id, call, problem, spoken, transcript) {
  let stop = () => {};
  const stopFollowing = effect(() => {
    const tab = chosenTab(TABS);
    const missing = call.value === null || problem.value !== '';
    // The timeline shows what happened to the recording as well.
    const recording = call.value?.recording_id ?? null;
    untracked(() => {
      stop();
      body.replaceChildren();
      body.id = `panel-${tab}`;
      body.setAttribute('aria-labelledby', `tab-${tab}`);
      stop = () => {};
      if (missing) return;
      const inside = element('div', { class: `tab-${tab}` });
      body.append(inside);
      if (tab === 'transcript') stop = show(inside, () => transcriptView(call.value, spoken.value, transcript));
      else if (tab === 'json') stop = show(inside, () => codeBlock('The call as the API answers it', pretty(call.value)));
      else stop = HISTORIES[tab](inside, id, call.peek().created_at, recording);
    });
  });
  return () => {
    stopFollowing();
    stop();
  };
}

function headView(call, inPanel) {
  if (call === null) return html`<h1 class="quiet">Loading…</h1>`;
  const other = call.direction === 'inbound' ? call.from : call.to;
  return html`
    ${inPanel ? nothing : html`<nav aria-label="Path" class="path"><a href=${address('calls')} title=${tooltip('call.back')}>Calls</a></nav>`}
    <div class="page-head">
      ${inPanel ? html`<h2>${phone(other)}</h2>` : html`<h1>${phone(other)} <small class="mono">${call.id}</small></h1>`}
      ${badge(call.disposition ?? call.status)}
      ${inPanel ? html`<a class="button" href=${address('calls', call.id)}>Open</a>` : nothing}
    </div>
    ${stateLine(call)}
    ${factsView(call)}
    ${call.recording_id ? html`<audio controls preload="none" aria-label="Recording of the call" src=${`${BASE}as/media/${call.recording_id}.wav`}></audio>` : nothing}`;
}

/** The states of a call in their order, each with its moment. */
function stateLine(call) {
  const steps = [['placed', call.created_at], ['answered', call.answered_at], ['ended', call.ended_at]];
  const ringing = call.status === 'ringing' || call.status === 'queued';
  return html`<ol class="steps">
    ${steps.filter(([name]) => !(name === 'answered' && call.ended_at && !call.answered_at)).map(([name, at]) => html`
      <li class=${at ? 'done' : ''}>${icon(at ? 'check' : 'ring')}<span>${name === 'placed' && ringing ? call.status : name}</span>
        <span class="quiet">${at ? shownTime(at) : ''}</span></li>`)}
  </ol>`;
}

function talked(call) {
  if (call.duration !== null && call.duration !== undefined) return minutes(call.duration);
  return call.answered_at ? minutes(Math.max(0, (moment.value - Date.parse(call.answered_at)) / 1000)) : '–';
}

function factsView(call) {
  const facts = [
    ['Direction', html`${icon(call.direction === 'inbound' ? 'incoming' : 'outgoing')} ${call.direction}`],
    ['From', phone(call.from)], ['To', phone(call.to)], ['Talked', talked(call)],
    ['AI receptionist', call.ai_handler], ['Agent', call.agent_id],
    ['Campaign', call.campaign_id && html`<a href=${address('campaigns', call.campaign_id)}>${call.campaign_id}</a>`],
    ...Object.entries(call.metadata ?? {}),
  ];
  return html`<dl class="facts">${facts.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function transcriptView(call, { finals, lines, ended }, transcript) {
  if (lines > 0) return html`${sentimentLine(finals)}${transcript.element}`;
  const why = ended ? 'Nobody spoke: the call was not answered.'
    : call.answered_at ? 'They are about to speak…' : 'It is ringing. What people say appears here while they say it.';
  return html`<p class="waiting" role="status">${why}</p>`;
}
