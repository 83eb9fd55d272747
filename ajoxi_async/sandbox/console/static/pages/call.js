/**
 * One call: what state it is in, what is being said, its recording, what it fired, and which requests were about it.
 *
 * The page at `/calls/{id}`, and the panel beside the list of calls.
 */
import { ApiError, asApi, get, query } from '../api.js';
import { badge } from '../cells.js';
import { fullTime, minutes, phone, shownTime, spanText, words } from '../format.js';
import { icon } from '../icons.js';
import { codeBlock, pretty } from '../json.js';
import { address, go } from '../router.js';
import { sentimentLine } from '../sentiment.js';
import { now, moment, onChange } from '../store.js';
import { chosenTab, tabRow } from '../tabs.js';
import { createTranscript } from '../transcript.js';
import { element, html, nothing, show, signal } from '../view.js';
import { addCommands } from '../shortcuts.js';

const TABS = [
  { name: 'transcript', title: 'Transcript' },
  { name: 'timeline', title: 'Timeline' },
  { name: 'webhooks', title: 'Webhooks' },
  { name: 'requests', title: 'Requests' },
  { name: 'json', title: 'JSON' },
];

export function mount(root, { id, title }) {
  if (id === 'latest') {
    get('calls?limit=1').then(({ data }) => data.length && go(address('calls', data[0].id) + location.search, { replace: true }));
    return () => {};
  }
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
  const finals = signal(/** @type {any[]} */ ([]));
  const transcript = createTranscript();
  const head = element('div', { class: 'call-head' });
  const body = element('div', { class: 'call-body' });
  root.classList.add('call');
  root.append(head, body);

  async function read() {
    try {
      call.value = await asApi('GET', `/v1/calls/${encodeURIComponent(id)}`);
      title(`${phone(call.value.to)} ${words(call.value.status)}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.value = error.status === 404 ? `There is no call ${id} in this world.` : error.message;
    }
  }
  const source = new EventSource(`/_ajoxi/as/v1/calls/${id}/transcript`);
  const stops = [
    show(head, () => (problem.value ? html`<p class="problem" role="alert">${problem.value}</p>` : headView(call.value, inPanel))),
    show(body, () => (call.value === null ? nothing : bodyView(call.value, transcript, finals.value, inPanel))),
    onChange('call', (ids) => (ids === null || ids.includes(id)) && read()),
    transcript.dispose,
    () => source.close(),
  ];
  read();
  return () => {
    for (const stop of stops) stop();
    root.classList.remove('call');
  };
}
function headView(call, inPanel) {
  return call === null ? nothing : html`<h1>${phone(call.to)}</h1>`;
}
function bodyView(call, transcript) { return html`${transcript.element}`; }
