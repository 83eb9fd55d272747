/** The calls: a live list with a panel that follows the chosen call. */
import { query } from '../api.js';
import { link, state, text } from '../cells.js';
import { emptyPage } from '../empty.js';
import { minutes, phone, shownTime } from '../format.js';
import { mountListPage } from '../list_page.js';
import { address } from '../router.js';
import { placeTestCall, TEST_CALL } from '../test_call.js';
import { html } from '../view.js';

const href = (id) => address('calls', id);

/** The columns of lists of calls. @type {import('../list.js').Column[]} */
export const CALL_COLUMNS = [
  { label: 'Status', size: '7.5rem', narrow: '7.6rem', draw: state((call) => call.status) },
  { label: 'To', size: 'minmax(8rem, 1.2fr)', narrow: 'minmax(0, 1fr)', draw: link((call) => phone(call.to), (call) => href(call.id)), className: 'mono' },
  { label: 'From', size: 'minmax(8rem, 1.2fr)', from: 'middle', draw: text((call) => phone(call.from)), className: 'mono' },
  { label: 'Result', size: '8rem', from: 'middle', draw: state((call) => call.disposition) },
  { label: 'Direction', size: '7.5rem', from: 'wide', draw: state((call) => call.direction) },
  { label: 'Duration', size: '5rem', from: 'wide', className: 'number', draw: text((call) => (call.duration ? minutes(call.duration) : '–')) },
  { label: 'Placed', size: 'minmax(5.5rem, 9rem)', from: 'middle', className: 'time', draw: text((call) => shownTime(call.created_at)) },
  { label: 'Id', size: 'minmax(8rem, 1fr)', from: 'wide', className: 'mono', draw: text((call) => call.id) },
];

const NAMES = ['status', 'disposition', 'direction', 'campaign', 'created_after', 'created_before', 'metadata.'];

/** Filters of the page as parameters of the list. */
function parameters(filters) {
  const given = {};
  for (const [name, value] of Object.entries(filters)) {
    if (name.startsWith('metadata.')) given[`metadata[${name.slice('metadata.'.length)}]`] = value;
    else given[name === 'campaign' ? 'campaign_id' : name] = value;
  }
  return given;
}

export function mount(root) {
  return mountListPage(root, {
    title: 'Calls',
    columns: CALL_COLUMNS,
    names: NAMES,
    hint: 'status:ringing disposition:busy direction:inbound metadata.team:blue',
    presets: [
      ['In progress', { status: 'answered' }], ['No answer', { disposition: 'no_answer' }], ['Inbound', { direction: 'inbound' }],
    ],
    path: (at, limit, filters) => `calls${query({ at, limit, ...parameters(filters) })}`,
    href,
    panel: async (panel, id) => (await import('./call.js')).mountCall(panel, id, { inPanel: true }),
    actions: () => html`<button @click=${placeTestCall}>Place a test call</button>`,
    empty: () => emptyPage({
      icon: 'calls',
      title: 'No calls yet',
      text: 'Calls that your code places appear here as they ring, are answered and end. No phone rings: the sandbox plays both sides, and its people talk.',
      action: 'Place a test call',
      run: placeTestCall,
      request: TEST_CALL,
    }),
  });
}
