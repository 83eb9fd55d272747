/** The calls: a live list with a panel that follows the chosen call. */
import { query } from '../base/api.js';
import { link, state, text } from '../widgets/states.js';
import { minutes, phone, shownTime } from '../base/format.js';
import { mountListPage } from '../list/page.js';
import { address } from '../base/router.js';
import { html } from '../base/view.js';

const placeTestCall = async () => (await import('../calls/test_call.js')).placeTestCall();

const href = (id) => address('calls', id);

/** The columns of lists of calls. @type {import('../list/list.js').Column[]} */
const CALL_COLUMNS = [
  { label: 'Status', size: '7.5rem', narrow: '8.2rem', draw: state((call) => call.status) },
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
    empty: async () => (await import('../list/empty_lists.js')).calls,
  });
}
