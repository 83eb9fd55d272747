/** The events: everything that happened in the world, the newest first, each with the object that it happened to. */
import { query } from '../base/api.js';
import { link, text } from '../widgets/states.js';
import { shownTime, words } from '../base/format.js';
import { mountListPage } from '../list/page.js';
import { addressOf } from '../base/router.js';

/** What an event happened in: a request, or a timer that was due. */
const causeText = ({ cause }) => (cause === null ? '–' : cause.startsWith('req_') ? cause : `timer: ${words(cause)}`);

const key = ({ at, what, id }) => `${at} ${what} ${id}`;

export function mount(root) {
  return mountListPage(root, {
    title: 'Events',
    key,
    columns: [
      { label: 'At', size: '9rem', narrow: '5.3rem', className: 'time', draw: text((row) => shownTime(row.at)) },
      { label: 'Event', size: 'minmax(8rem, 1fr)', narrow: 'minmax(0, 1fr)', draw: text((row) => row.what) },
      { label: 'Object', size: 'minmax(8rem, 1fr)', narrow: 'minmax(0, 1fr)', className: 'mono', draw: link((row) => row.id, (row) => addressOf(row.id)) },
      { label: 'Cause', size: 'minmax(8rem, 1fr)', from: 'middle', draw: link(causeText, (row) => addressOf(row.cause ?? '')) },
    ],
    names: ['type', 'id', 'cause'],
    hint: 'type:call.* id:call_… cause:req_…',
    presets: [['Calls', { type: 'call.*' }], ['Deliveries', { type: 'delivery.*' }]],
    path: (at, limit, filters) => `events${query({ at, limit, ...filters })}`,
    href: (id) => addressOf(id),
    empty: async () => (await import('../list/empty_lists.js')).events,
  });
}
