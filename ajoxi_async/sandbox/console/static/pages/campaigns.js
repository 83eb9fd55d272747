/** The page of campaigns: those of the API, and those of the dialer whose ledger the sandbox was given (`--ledger`). */
import { ApiError, asApi } from '../base/api.js';
import { badge } from '../widgets/states.js';
import { openDialog } from '../frame/dialog.js';
import { emptyPage } from '../widgets/empty.js';
import { count, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { followLedger } from '../campaigns/ledger_view.js';
import { address, go } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { objectTable } from '../widgets/table.js';
import { html, show, signal, together } from '../base/view.js';
import { vocabulary } from '../base/vocabulary.js';

const MODES = {
  power: 'one call after the other, as fast as the sandbox dials',
  predictive: 'so many calls that one is answered for each free agent',
  preview: 'each call waits until it is released',
};

/** Numbers of the population, which behave by seed. @param {number} amount */
const madeUpContacts = (amount) => Array.from({ length: amount }, (_, place) => `+1212555${String(place).padStart(4, '0')}`);

/** The request that makes a campaign. @param {{name: string, mode: string, amount: number, from: string}} given */
const campaignRequest = ({ name, mode, amount, from }) => ({ from, campaign: { name, mode, contacts: madeUpContacts(amount) } });

async function openCampaignDialog() {
  const problem = signal('');
  const mode = signal('power');
  let made = null;
  await openDialog('Start a campaign', (close) => html`
    <form class="confirm" @submit=${async (event) => {
      event.preventDefault();
      const given = Object.fromEntries(new FormData(event.target));
      try {
        made = await asApi('POST', '/v1/calls', campaignRequest({ ...given, mode: mode.peek(), amount: Number(given.amount), from: vocabulary.value.first_number }));
        close();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problem.value = error.message;
      }
    }}>
      <h2>Start a campaign</h2>
      <label class="field">Name <input name="name" value="autumn" required maxlength="100" autofocus autocomplete="off"></label>
      <label class="field">Contacts <input name="amount" type="number" min="1" max="10000" value="1000" required></label>
      <p class="quiet">Made-up numbers from +1 212 555 0000 on. How each call ends is decided by the seed.</p>
      <label class="field">Mode <select @change=${(event) => {
        mode.value = event.target.value;
      }}>${Object.keys(MODES).map((one) => html`<option value=${one} .selected=${one === mode.value}>${one}</option>`)}</select></label>
      <p class="quiet">${MODES[mode.value]}</p>
      <p class="problem" role="alert">${problem.value}</p>
      <div class="buttons"><button type="button" @click=${close}>Cancel</button><button class="primary">Start</button></div>
    </form>`);
  if (made !== null) go(address('campaigns', made.id));
}

const ended = (campaign) => campaign.by_status.completed ?? 0;

const row = (campaign) => html`
  <tr><th scope="row"><a href=${address('campaigns', campaign.id)}>${campaign.name || campaign.id}</a></th>
    <td>${badge(campaign.status)}</td><td>${campaign.mode}</td>
    <td class="number">${count(ended(campaign))} of ${count(campaign.calls)}</td>
    <td class="fill"><progress aria-label="Ended calls of ${campaign.name || campaign.id}" max=${campaign.calls} value=${ended(campaign)}></progress></td>
    <td>${shownTime(campaign.created_at)}</td></tr>`;

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  const campaigns = live('campaigns');
  const ledger = followLedger();
  const removeCommands = addCommands({ id: 'campaigns.start', label: 'Start a campaign', group: 'Campaigns', keys: 'a', run: openCampaignDialog });
  const stop = show(root, () => {
    const { value } = campaigns.value;
    if (value === null) return html`<div class="page-head"><h1>Campaigns</h1></div>`;
    if (value.data.length === 0) {
      return html`<div class="page-head"><h1>Campaigns</h1></div>${ledger.view()}${emptyPage({
        icon: 'campaigns',
        title: 'No campaign yet',
        text: 'A campaign dials a list of contacts. Here is how far it is, exactly, by how its calls ended.',
        action: 'Start a campaign',
        run: openCampaignDialog,
        request: { method: 'POST', url: '/v1/calls', route: 'calls.create_campaign',
          body: campaignRequest({ name: 'autumn', mode: 'power', amount: 3, from: vocabulary.value?.first_number ?? '+14155550100' }) },
      })}`;
    }
    return html`
      <div class="page-head"><h1>Campaigns<small>${count(value.data.length)}</small></h1>
        <button class="primary" title=${tooltip('campaigns.start')} @click=${() => run('campaigns.start')}>${icon('campaigns')} Start a campaign</button></div>
      ${objectTable('Campaigns', ['Campaign', 'Status', 'Mode', ['Ended', 'number'], 'Progress', 'Created'], value.data.toReversed().map(row))}
      ${ledger.view()}`;
  });
  return together(stop, removeCommands, campaigns.stop, ledger.stop);
}
