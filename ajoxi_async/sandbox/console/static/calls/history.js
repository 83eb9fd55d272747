/** What a call led to: its timeline, the webhooks that it fired, and the requests that were about it. */
import { query } from '../base/api.js';
import { badge, statusBadge } from '../widgets/states.js';
import { latency, shownTime, spanText } from '../base/format.js';
import { address } from '../base/router.js';
import { counts, live } from '../feed/store.js';
import { table } from '../widgets/table.js';
import { html, show } from '../base/view.js';

const about = (kind, id) => live(`${kind}${query({ about: id, limit: 100 })}`);

const rowsOf = (view) => view.value.value?.data ?? [];

/** Mount a view of lists that are followed. */
function mounted(root, views, template) {
  const stop = show(root, template);
  return () => {
    stop();
    for (const view of views) view.stop();
  };
}

const deliveryLink = (delivery) => html`<a href=${address('deliveries', delivery.id)}>${delivery.type}</a>`;

const requestLink = (request) => html`<a href=${address('requests', request.id)} class="mono">${request.method} ${request.url}</a>`;

/** The webhooks that a call fired. @param {HTMLElement} root @param {string} id */
export function callWebhooks(root, id) {
  const deliveries = about('deliveries', id);
  const none = () => (counts.value?.webhooks
    ? 'Nothing was fired yet that a webhook is subscribed to.'
    : html`Nobody subscribed yet. A webhook is told when a call is answered and when it ends. <a class="button" href=${address('webhooks')}>Create a test endpoint</a>`);
  return mounted(root, [deliveries], () => table('Deliveries of webhooks', [
    ['Event', deliveryLink],
    ['State', (row) => badge(row.state)],
    ['Attempts', (row) => row.attempts],
    ['Answer', (row) => (row.attempts ? statusBadge(row.status, 'none') : '–')],
    ['Next attempt', (row) => (row.state === 'pending' ? shownTime(row.due) : '–')],
    ['Fired', (row) => shownTime(row.created_at)],
  ], rowsOf(deliveries), none()));
}

/** The requests about a call. @param {HTMLElement} root @param {string} id */
export function callRequests(root, id) {
  const requests = about('requests', id);
  return mounted(root, [requests], () => table('Requests about this call', [
    ['Request', requestLink],
    ['Answer', (row) => statusBadge(row.status)],
    ['Route', (row) => row.route ?? '–'],
    ['From', (row) => row.source],
    ['Took', (row) => latency(row.latency)],
    ['Came', (row) => shownTime(row.moment)],
  ], rowsOf(requests), 'No request that is still in the log was about this call. The log keeps the last 2,000.'));
}

/**
 * Everything about a call in the order of its moments.
 *
 * @param {HTMLElement} root
 * @param {string} id
 * @param {string} begin when it was placed
 * @param {string | null} recording the id of its recording
 */
export function callTimeline(root, id, begin, recording) {
  const events = [id, ...(recording ? [recording] : [])].map((one) => live(`events${query({ id: one, limit: 200 })}`));
  const deliveries = about('deliveries', id);
  const requests = about('requests', id);
  const entries = () => [
    ...rowsOf(requests).map((row) => ({ at: row.moment ?? row.at, kind: 'request', shown: html`${requestLink(row)} ${statusBadge(row.status)}` })),
    ...events.flatMap(rowsOf).map((row) => ({ at: row.at, kind: 'event', shown: row.what })),
    ...rowsOf(deliveries).map((row) => ({ at: row.created_at, kind: 'webhook', shown: html`${deliveryLink(row)} ${badge(row.state)}` })),
  ].sort((one, other) => Date.parse(one.at) - Date.parse(other.at));
  return mounted(root, [...events, deliveries, requests], () => table('What happened, in order', [
    ['Since it was placed', ({ at }) => `+${spanText((Date.parse(at) - Date.parse(begin)) / 1000)}`],
    ['At', ({ at }) => shownTime(at)],
    ['What', ({ kind }) => kind],
    ['Details', ({ shown }) => shown],
  ], entries(), 'Nothing happened yet.'));
}
