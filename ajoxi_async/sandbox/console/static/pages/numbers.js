/** The page of numbers: the account's own, those on offer, and the magic numbers with their meanings. */
import { ApiError, asApi, query } from '../base/api.js';
import { badge } from '../widgets/states.js';
import { confirm, openDialog } from '../frame/dialog.js';
import { count, phone, words } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { magicGroups } from '../messages/magic_numbers.js';
import { attempt, notify } from '../frame/notices.js';
import { followOwnNumbers } from '../messages/own_numbers.js';
import { address, go, route, setQuery } from '../base/router.js';
import { addCommands } from '../base/shortcuts.js';
import { follow, live } from '../feed/store.js';
import { chosenTab, tabRow } from '../widgets/tabs.js';
import { objectTable } from '../widgets/table.js';
import { effect, html, nothing, show, signal } from '../base/view.js';
import { vocabulary } from '../base/vocabulary.js';

const TABS = [{ name: 'owned', title: 'Yours' }, { name: 'available', title: 'On offer' }, { name: 'magic', title: 'Magic numbers' }];
const COUNTRIES = ['US', 'CA', 'GB', 'DE', 'FR', 'AU'];
const MOST = 50;
/** What the target of a routing is, by its kind; a kind that is not here has none. */
const TARGETS = { agent: 'Agent id', extension: 'Extension', queue: 'Queue', forward: 'Number to forward to' };

/** Where calls to a number go, in words. @param {any} number */
const routingText = ({ routing }) => (routing ? `${words(routing.kind)}${routing.target ? ` ${routing.target}` : ''}` : 'nowhere');

const take = (number) => attempt(async () => {
  const made = await asApi('POST', '/v1/numbers', { phone_number: number.phone_number });
  notify(`${phone(made.phone_number)} is yours`, address('numbers'));
});

async function release(number) {
  if (!(await confirm(`Release ${phone(number.phone_number)}?`, 'It is gone for good: nobody can call or text it any more.', 'Release'))) return;
  await attempt(async () => {
    await asApi('DELETE', `/v1/numbers/${encodeURIComponent(number.id)}`);
    notify(`${phone(number.phone_number)} is released`);
  });
}

function openRouting(number) {
  const kind = signal(number.routing?.kind ?? 'ai_receptionist');
  const problem = signal('');
  return openDialog('Route calls', (close) => html`
    <form class="confirm" @submit=${async (event) => {
      event.preventDefault();
      const target = new FormData(event.target).get('target');
      try {
        await asApi('PUT', `/v1/numbers/${encodeURIComponent(number.id)}`, { routing: { kind: kind.peek(), ...(target ? { target } : {}) } });
        close();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        problem.value = error.message;
      }
    }}>
      <h2>Calls to ${phone(number.phone_number)}</h2>
      <label class="field">Go to <select autofocus @change=${(event) => {
        kind.value = event.target.value;
      }}>${['ai_receptionist', ...Object.keys(TARGETS)].map((one) => html`<option value=${one} .selected=${one === kind.value}>${words(one)}</option>`)}</select></label>
      ${TARGETS[kind.value] ? html`<label class="field">${TARGETS[kind.value]} <input name="target" required autocomplete="off" spellcheck="false"
        .value=${number.routing?.kind === kind.value ? (number.routing.target ?? '') : ''}></label>` : nothing}
      <p class="problem" role="alert">${problem.value}</p>
      <div class="buttons"><button type="button" @click=${close}>Cancel</button><button class="primary">Route</button></div>
    </form>`);
}

const switchTexts = (number) => attempt(() =>
  asApi('PUT', `/v1/numbers/${encodeURIComponent(number.id)}`, { sms: { enabled: number.sms?.enabled === false } }));

const ownRow = (number) => html`
  <tr><th scope="row">${phone(number.phone_number)}</th><td>${badge(number.status)}</td>
    <td>${[number.country, number.region].filter(Boolean).join(', ')}</td><td>${number.capabilities.join(', ')}</td>
    <td class="fill" data-label="calls go to">${routingText(number)}</td><td data-label="texts">${number.sms?.enabled === false ? 'off' : 'on'}</td>
    <td class="row-actions"><button aria-label="Route calls to ${phone(number.phone_number)}" @click=${() => openRouting(number)}>Route</button>
      <button aria-label="Texts of ${phone(number.phone_number)} ${number.sms?.enabled === false ? 'on' : 'off'}" @click=${() => switchTexts(number)}>Texts ${number.sms?.enabled === false ? 'on' : 'off'}</button>
      <button aria-label="Release ${phone(number.phone_number)}" @click=${() => release(number)}>Release</button></td></tr>`;

const offerRow = (number) => html`
  <tr><th scope="row">${phone(number.phone_number)}</th><td>${words(number.type)}</td><td>${[number.country, number.region].filter(Boolean).join(', ')}</td>
    <td class="fill">${number.capabilities.join(', ')}</td>
    <td class="row-actions"><button aria-label="Take ${phone(number.phone_number)}" @click=${() => take(number)}>Take</button></td></tr>`;

const act = (what, number) => attempt(async () => {
  const from = vocabulary.value.first_number;
  if (what === 'call') go(address('calls', (await asApi('POST', '/v1/calls', { to: number, from, ai_receptionist: true })).id));
  else go(address('messages', (await asApi('POST', '/v1/messages', { to: number, from, body: 'Hello' })).conversation_id));
});

const magicView = () => html`
  <p class="lead">Each has one fixed effect, as destination and as caller, so that a test needs no set-up. Other numbers behave like people, by seed.</p>
  ${magicGroups().map((group) => html`<section class="magic"><h2>${group.name}</h2><ul>${group.numbers.map(({ number, meaning }) => html`
    <li><code>${number}</code><span>${meaning.replaceAll('`', '')}</span><span class="magic-actions">
      <button aria-label="Call ${number}" @click=${() => act('call', number)}>${icon('calls')} Call</button>
      <button aria-label="Text ${number}" @click=${() => act('text', number)}>${icon('messages')} Text</button></span></li>`)}</ul></section>`)}`;

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  const owned = followOwnNumbers();
  const porting = live('v1/numbers?status=porting&limit=200');
  const offered = signal(null);
  const asked = () => ({ country: route.value.query.get('country'), contains: route.value.query.get('contains') });
  let stopOffers = () => {};
  const stopAsking = effect(() => {
    const path = chosenTab(TABS) === 'available' ? `v1/numbers${query({ limit: MOST, ...asked() })}` : null;
    stopOffers();
    stopOffers = path === null ? () => {} : follow(path, (answer) => {
      offered.value = answer;
    });
  });
  const removeCommands = addCommands(...TABS.map((tab, place) => ({
    id: `numbers.${tab.name}`, label: `Numbers: ${tab.title}`, group: 'Numbers', keys: String(place + 1),
    run: () => setQuery({ tab: place === 0 ? null : tab.name }),
  })));

  const ownView = () => {
    const rows = [...(owned.value.value?.data ?? []), ...(porting.value.value?.data ?? [])];
    return html`${objectTable('Your numbers', ['Number', 'Status', 'Where', 'Can', 'Calls go to', 'Texts', ''], rows.map(ownRow))}
      <p><button @click=${() => setQuery({ tab: 'available' })}>${icon('numbers')} Take another number</button></p>`;
  };

  const offerView = () => {
    const { country, contains } = asked();
    return html`
      <form class="fields" role="search" aria-label="Search numbers" @submit=${(event) => event.preventDefault()}>
        <label>Country <select @change=${(event) => setQuery({ country: event.target.value || null })}><option value="">any</option>
          ${COUNTRIES.map((one) => html`<option value=${one} .selected=${one === country}>${one}</option>`)}</select></label>
        <label>Has the digits <input inputmode="numeric" pattern="[0-9]*" .value=${contains ?? ''} @change=${(event) => setQuery({ contains: event.target.value.replaceAll(/\D/g, '') || null })}></label>
      </form>
      ${offered.value?.error ? html`<p class="problem" role="alert">${offered.value.error.message}</p>` : nothing}
      ${offered.value?.data?.length ? objectTable('Numbers on offer', ['Number', 'Type', 'Where', 'Can', ''], offered.value.data.map(offerRow)) : html`<p class="quiet">No number on offer is like this.</p>`}
      ${offered.value?.has_more ? html`<p class="quiet">The first ${MOST}; narrow it down for others.</p>` : nothing}`;
  };

  const stop = show(root, () => {
    const tab = chosenTab(TABS);
    return html`
      <div class="page-head"><h1>Numbers<small>${owned.value.value ? count(owned.value.value.data.length) : ''}</small></h1></div>
      ${tabRow('Numbers', TABS)}
      <div role="tabpanel" id="panel-${tab}" aria-labelledby="tab-${tab}" class="tab-panel">${tab === 'owned' ? ownView() : tab === 'available' ? offerView() : magicView()}</div>`;
  });
  return () => {
    stop();
    stopAsking();
    stopOffers();
    removeCommands();
    owned.stop();
    porting.stop();
  };
}
