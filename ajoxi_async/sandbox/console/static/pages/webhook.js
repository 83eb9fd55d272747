/** The page of one webhook: its endpoint, how its deliveries end, its secret, and the switch of a test endpoint. */
import { asApi, post } from '../base/api.js';
import { badge } from '../widgets/states.js';
import { confirm } from '../frame/dialog.js';
import { count, counted, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, notify } from '../frame/notices.js';
import { followObject, objectView } from '../widgets/object_view.js';
import { address, go } from '../base/router.js';
import { showSecret } from '../widgets/secret.js';
import { shareBar } from '../widgets/share_bar.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { ANSWERS, switchAnswer } from '../deliveries/test_endpoints.js';
import { objectTable } from '../widgets/table.js';
import { html, nothing, show, together } from '../base/view.js';

const LAST = 10;
const TONES = { delivered: 'good', failing: 'warn', pending: 'quiet', dead: 'bad', dropped: 'faint' };

/** @type {import('../pages.js').Mount} */
export function mount(root, { id, title }) {
  root.classList.add('scrolls');
  const path = encodeURIComponent(id);
  const webhook = followObject(`webhooks/${path}`);
  const last = live(`deliveries?webhook_id=${path}&limit=${LAST}`);
  const receivers = live('receivers');
  const receiver = () => receivers.value.value?.data.find((one) => one.url === webhook.state.value.value?.url) ?? null;

  async function rotate() {
    const text = 'Deliveries are signed with the new secret from now on, and for 24 hours with the old one as well.';
    if (!(await confirm('Rotate the secret?', text, 'Rotate'))) return;
    await attempt(async () => {
      const { secret } = await post(`webhooks/${path}/rotate-secret`);
      await showSecret('The new secret', 'Secret', secret, 'The old one signs as well for 24 hours of the world’s time.');
    });
  }

  async function remove() {
    if (!(await confirm(`Delete ${id}?`, 'Its deliveries and their log go with it.', 'Delete'))) return;
    await attempt(async () => {
      await asApi('DELETE', `/v1/webhooks/${path}`);
      notify(`${id} is deleted`);
      go(address('webhooks'));
    });
  }

  const choose = (answer) => attempt(() => switchAnswer(receiver().id, answer));

  const removeCommands = addCommands(
    { id: 'webhook.rotate', label: 'Rotate the secret', group: 'Webhook', keys: 'o', run: rotate },
    { id: 'webhook.deliveries', label: 'Show its deliveries', group: 'Webhook', keys: 'd', run: () => go(address('deliveries', null, { webhook_id: id })) },
  );
  title(id);

  const switchView = (shown) => html`
    <fieldset class="choices"><legend>The test endpoint answers</legend>
      ${ANSWERS.map((one) => html`<label class="check"><input type="radio" name="answer" value=${one.answer} .checked=${shown.answer === one.answer}
        @change=${() => choose(String(one.answer))}><span><strong>${one.name}</strong> <span class="quiet">${one.text}</span></span></label>`)}
      <p class="quiet" role="status">${shown.received === 0 ? 'It has received nothing yet.'
        : `It received ${counted(shown.received, 'post')}, ${shown.valid === shown.received ? 'all' : count(shown.valid)} with a valid signature.`}</p>
    </fieldset>`;

  const states = ({ deliveries }) => Object.entries(TONES).map(([name, tone]) => ({
    name,
    tone,
    amount: deliveries[name] - (name === 'pending' ? deliveries.failing : 0),
    href: address('deliveries', null, { webhook_id: id, state: name }),
  }));

  const deliveryRow = (row) => html`
    <tr><th scope="row"><a href=${address('deliveries', row.id)}>${row.id}</a></th><td>${badge(row.state === 'pending' && row.attempts ? 'failing' : row.state)}</td>
      <td>${row.type}</td><td class="number" data-label="attempts">${row.attempts}</td><td class="fill">${row.status ?? row.error ?? '–'}</td><td>${shownTime(row.ended_at ?? row.due)}</td></tr>`;

  const shown = (value) => html`
    <div class="page-head"><h1 tabindex="-1" data-focus><code>${value.id}</code>${badge(value.status === 'enabled' ? 'active' : 'disabled', value.status)}</h1>
      <button title=${tooltip('webhook.rotate')} @click=${() => run('webhook.rotate')}>${icon('rewind')} Rotate secret</button>
      <button class="danger" @click=${remove}>Delete</button></div>
    <p class="facts"><code>${value.url}</code><span><span class="quiet">created</span> ${shownTime(value.created_at)}</span></p>
    <p class="facts"><span><span class="quiet">events</span> ${value.events.map((name) => html`<code class="tag">${name}</code> `)}</span></p>
    ${receiver() ? switchView(receiver()) : nothing}
    <section class="surface" aria-labelledby="how"><h2 id="how">Deliveries</h2>
      ${shareBar({ label: 'Deliveries by state', parts: states(value) })}
      <p class="quiet">${value.attempts.made === 0 ? 'No attempt was made yet.'
        : `${count(value.attempts.succeeded)} of ${counted(value.attempts.made, 'attempt')} succeeded, ${Math.floor((value.attempts.succeeded / value.attempts.made) * 100)} %.`}</p>
    </section>
    <section class="surface" aria-labelledby="secret-head"><h2 id="secret-head">Secret</h2>
      <p><code>whsec_***</code> <span class="quiet">It was shown when it was made.
        ${value.old_secret_until ? html`The one before it signs as well until ${shownTime(value.old_secret_until)}.` : nothing}</span></p></section>
    ${last.value.value?.total ? html`
      <div class="page-head"><h2>The last deliveries</h2><a class="button" href=${address('deliveries', null, { webhook_id: id })}>Show all</a></div>
      ${objectTable('The last deliveries', ['Delivery', 'State', 'Event', 'Attempts', 'Last answer', 'Next, or end'], last.value.value.data.map(deliveryRow))}` : nothing}`;

  const stop = show(root, () => objectView(id, webhook.state.value, 'webhooks', shown));
  return together(stop, removeCommands, webhook.stop, last.stop, receivers.stop);
}
