/** The page of webhooks: which endpoints are subscribed to what, and how their deliveries end. */
import { badge } from '../widgets/states.js';
import { emptyPage } from '../widgets/empty.js';
import { openEndpointDialog } from '../deliveries/endpoint_dialog.js';
import { count } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { address, go } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { objectTable } from '../widgets/table.js';
import { html, nothing, show, together } from '../base/view.js';

/** The share of attempts that were answered 2xx, in words. @param {{made: number, succeeded: number}} attempts */
const successText = ({ made, succeeded }) =>
  (made === 0 ? 'no attempt yet' : `${Math.floor((succeeded / made) * 100)} % of ${count(made)}`);

async function create(kind) {
  const made = await openEndpointDialog(kind);
  if (made !== null) go(address('webhooks', made.id));
}

function row(webhook, receiver) {
  const { dead, failing, pending } = webhook.deliveries;
  return html`
    <tr>
      <th scope="row"><a href=${address('webhooks', webhook.id)}>${webhook.id}</a></th>
      <td>${badge(webhook.status === 'enabled' ? 'active' : 'disabled', webhook.status)}</td>
      <td class="fill">${receiver ? html`test endpoint, answers <strong>${receiver.answer}</strong>` : html`<code>${webhook.url}</code>`}</td>
      <td>${webhook.events.length === 7 ? 'all events' : webhook.events.length === 1 ? webhook.events[0] : `${webhook.events.length} events`}</td>
      <td class="number" data-label="succeeded">${successText(webhook.attempts)}</td>
      <td>${failing ? html`<a href=${address('deliveries', null, { webhook_id: webhook.id, state: 'failing' })}>${count(failing)} failing</a>` : pending
        ? html`<a href=${address('deliveries', null, { webhook_id: webhook.id, state: 'pending' })}>${count(pending)} pending</a>` : nothing}
        ${dead ? html`<a href=${address('deliveries', null, { webhook_id: webhook.id, state: 'dead' })}>${count(dead)} dead</a>` : nothing}</td>
    </tr>`;
}

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  const webhooks = live('webhooks?limit=200');
  const receivers = live('receivers');
  const receiverOf = (webhook) => receivers.value.value?.data.find((one) => one.url === webhook.url);
  const removeCommands = addCommands(
    { id: 'webhooks.test', label: 'Create a test endpoint', group: 'Webhooks', keys: 'e', run: () => create('test') },
    { id: 'webhooks.own', label: 'Subscribe an endpoint of yours', group: 'Webhooks', keys: 'a', run: () => create('own') },
  );
  const buttons = () => html`<button class="primary" title=${tooltip('webhooks.test')} @click=${() => run('webhooks.test')}>${icon('webhooks')} Create a test endpoint</button>
    <button title=${tooltip('webhooks.own')} @click=${() => run('webhooks.own')}>Subscribe one of yours</button>`;
  const stop = show(root, () => {
    const { value } = webhooks.value;
    if (value === null) return html`<div class="page-head"><h1>Webhooks</h1></div>`;
    if (value.total === 0) {
      return html`<div class="page-head"><h1>Webhooks</h1></div>${emptyPage({
        icon: 'webhooks',
        title: 'Nobody is subscribed yet',
        text: 'A webhook gets an event for each thing that happens: a call that was answered, a message that came in. A test endpoint '
          + 'of the sandbox receives them without a server of yours, and answers as you choose.',
        action: 'Create a test endpoint',
        run: () => create('test'),
        request: { method: 'POST', url: '/v1/webhooks', route: 'webhooks.create', body: { url: 'http://127.0.0.1:8000/webhooks', events: ['call.completed'] } },
      })}<p class="centred"><button @click=${() => run('webhooks.own')}>Subscribe an endpoint of yours</button></p>`;
    }
    return html`
      <div class="page-head"><h1>Webhooks<small>${count(value.total)}</small></h1>${buttons()}</div>
      ${objectTable('Webhooks', ['Webhook', 'Status', 'Endpoint', 'Events', ['Succeeded', 'number'], 'Open'],
        value.data.map((webhook) => row(webhook, receiverOf(webhook))))}`;
  });
  return together(stop, removeCommands, webhooks.stop, receivers.stop);
}
