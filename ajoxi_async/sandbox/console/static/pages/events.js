/** The events: everything that happened in the world, the newest first, each with the object that it happened to. */
import { query } from '../api.js';
import { link, text } from '../cells.js';
import { emptyPage } from '../empty.js';
import { fullTime } from '../format.js';
import { mountListPage } from '../list_page.js';
import { addressOf } from '../router.js';
import { placeTestCall, TEST_CALL } from '../test_call.js';

const key = ({ at, what, id }) => `${at} ${what} ${id}`;

export function mount(root) {
  return mountListPage(root, {
    title: 'Events',
    key,
    columns: [
      { label: 'At', size: '13rem', narrow: 'minmax(0, 1.2fr)', className: 'time', draw: text((row) => fullTime(row.at)) },
      { label: 'Event', size: 'minmax(8rem, 1fr)', narrow: 'minmax(0, 1fr)', draw: text((row) => row.what) },
      { label: 'Object', size: 'minmax(8rem, 1fr)', narrow: 'minmax(0, 1fr)', className: 'mono', draw: link((row) => row.id, (row) => addressOf(row.id)) },
    ],
    names: ['type', 'id'],
    hint: 'type:call.* id:call_…',
    presets: [['Calls', { type: 'call.*' }], ['Deliveries', { type: 'delivery.*' }]],
    path: (at, limit, filters) => `events${query({ at, limit, ...filters })}`,
    href: (id) => addressOf(id),
    empty: () => emptyPage({
      icon: 'events',
      title: 'Nothing happened yet',
      text: 'Everything that happens in the world is listed here in order: calls are answered and end, recordings become ready, webhooks are delivered or fail.',
      action: 'Place a test call',
      run: placeTestCall,
      request: TEST_CALL,
    }),
  });
}
