/** The requests: a live list of what was sent to the API and answered, with a panel for the chosen one. */
import { query } from '../base/api.js';
import { link, status, text } from '../widgets/states.js';
import { latency, shownTime } from '../base/format.js';
import { mountListPage } from '../list/page.js';
import { address } from '../base/router.js';

const href = (id) => address('requests', id);

/** Filters under their own names in the list. */
const PARAMETERS = { code: 'status', key: 'key_id' };

export function mount(root) {
  return mountListPage(root, {
    title: 'Requests',
    columns: [
      { label: 'Answer', size: '6.5rem', narrow: '4.6rem', draw: status((row) => row.status ?? 0) },
      { label: 'Method', size: '4.5rem', from: 'middle', className: 'mono', draw: text((row) => row.method) },
      { label: 'Path', size: 'minmax(9rem, 2fr)', narrow: 'minmax(0, 1fr)', className: 'mono', draw: link((row) => row.url, (row) => href(row.id)) },
      { label: 'Route', size: 'minmax(7rem, 1fr)', from: 'wide', draw: text((row) => row.route ?? '–') },
      { label: 'Faults', size: 'minmax(6rem, 1fr)', from: 'wide', draw: text((row) => row.faults.map((fault) => fault.action).join(', ') || '–') },
      { label: 'Source', size: '5rem', from: 'middle', draw: text((row) => row.source) },
      { label: 'Took', size: '5rem', from: 'middle', className: 'number', draw: text((row) => latency(row.latency)) },
      { label: 'Came', size: 'minmax(5.5rem, 9rem)', narrow: '8.1rem', className: 'time', draw: text((row) => shownTime(row.moment ?? row.at)) },
    ],
    names: ['code', 'route', 'method', 'source', 'fault', 'key', 'about'],
    hint: 'code:5xx route:calls.* source:api fault:status about:call_…',
    presets: [['Failed', { code: '5xx' }], ['Refused', { code: '4xx' }], ['From your code', { source: 'api' }]],
    path: (at, limit, filters) => {
      const given = Object.fromEntries(Object.entries(filters).map(([name, value]) => [PARAMETERS[name] ?? name, value]));
      return `requests${query({ at, limit, ...given })}`;
    },
    href,
    panel: async (panel, id) => (await import('./request.js')).mountRequest(panel, id, { inPanel: true }),
    empty: async () => (await import('../list/empty_lists.js')).requests,
  });
}
