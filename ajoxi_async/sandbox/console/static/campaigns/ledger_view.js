/**
 * The campaigns of the dialer, from the ledger that the sandbox was given with `--ledger FILE`. The console only reads it.
 *
 * The counts are those of the ledger, which the dialer keeps together with what they count.
 */
import { badge } from '../widgets/states.js';
import { count, counted, fullTime, words } from '../base/format.js';
import { followObject } from '../widgets/object_view.js';
import { route, setQuery } from '../base/router.js';
import { shareBar } from '../widgets/share_bar.js';
import { table } from '../widgets/table.js';
import { effect, html, nothing, untracked } from '../base/view.js';

const TONES = {
  answered: 'good', voicemail: 'accent', no_answer: 'warn', busy: 'warn2', failed: 'bad', canceled: 'faint', waiting: 'rest', done: 'faint',
};
const DISPOSITION = 'disposition.';

/**
 * The contacts of a campaign by what became of them: those that are done by the disposition of their last call, where the ledger
 * has one, and those of each other state.
 *
 * @param {Record<string, number>} counts
 * @param {string[]} states the words that are states of contacts
 * @returns {{name: string, tone: string, amount: number}[]}
 */
function contactParts(counts, states) {
  const ended = Object.entries(counts).filter(([name]) => name.startsWith(DISPOSITION));
  const rest = (counts.done ?? 0) - ended.reduce((sum, [, amount]) => sum + amount, 0);
  const part = (name, amount) => ({ name: words(name), tone: TONES[name] ?? 'going', amount });
  return [
    ...ended.map(([name, amount]) => part(name.slice(DISPOSITION.length), amount)),
    ...(rest > 0 ? [part('done', rest)] : []),
    ...states.filter((name) => counts[name]).map((name) => part(name, counts[name])),
  ];
}

/** Words of the ledger that count something else than the present states of contacts. */
const OTHERS = new Set(['loaded', 'duplicate', 'refused row', 'attempts', 'incident', 'abandoned', 'done']);

const statesOf = (counts) => Object.keys(counts).filter((name) => !OTHERS.has(name) && !name.includes('.'));

function campaignView(campaign, chosen) {
  const { counts } = campaign;
  const parts = contactParts(counts, statesOf(counts));
  const total = parts.reduce((sum, part) => sum + part.amount, 0);
  const facts = ['attempts', 'abandoned', 'incident', 'duplicate', 'refused row'].filter((name) => counts[name]);
  const open = chosen === campaign.name;
  return html`
    <section class="surface" aria-label=${campaign.name}>
      <div class="page-head"><h3>${campaign.name}</h3>${badge(campaign.state === 'active' ? 'running' : campaign.state, campaign.state)}
        <button aria-expanded=${open} @click=${() => setQuery({ ledger: open ? null : campaign.name })}>Journal</button></div>
      ${campaign.reason ? html`<p>${campaign.reason}</p>` : nothing}
      <p><strong>${count(counts.done ?? 0)}</strong> of ${counted(total, 'contact')} done</p>
      ${shareBar({ label: `Contacts of ${campaign.name}`, parts, total })}
      ${facts.length ? html`<p class="quiet">${facts.map((name) => `${words(name)} ${count(counts[name])}`).join(' · ')}</p>` : nothing}
    </section>`;
}

const journalView = (journal) => table('Journal', [
  ['At', (entry) => fullTime(entry.at)],
  ['Who', (entry) => entry.who],
  ['What', (entry) => entry.what],
  ['Detail', (entry) => (typeof entry.detail === 'string' ? entry.detail : JSON.stringify(entry.detail))],
], journal, 'Nothing is written in the journal yet.');

/**
 * Follow the ledger.
 *
 * @returns {{view: () => unknown, stop: () => void}} `view` is a template; nothing where no ledger was given
 */
export function followLedger() {
  const ledger = followObject('ledger');
  let journal = null;
  let followed = null;
  const stopFollowing = effect(() => {
    const name = route.value.query.get('ledger');
    untracked(() => {
      if (name === followed) return;
      followed = name;
      journal?.stop();
      journal = name === null ? null : followObject(`ledger/${encodeURIComponent(name)}`);
    });
  });
  return {
    view() {
      const { value, problem } = ledger.state.value;
      if (value === null) return problem.startsWith('no ledger') || problem === '' ? nothing : html`<p class="problem" role="alert">${problem}</p>`;
      const chosen = route.value.query.get('ledger');
      const entries = journal?.state.value.value?.journal;
      return html`<h2>Of the dialer’s ledger</h2>
        ${value.data.length ? value.data.map((campaign) => html`${campaignView(campaign, chosen)}
          ${chosen === campaign.name && entries ? journalView(entries) : nothing}`) : html`<p class="quiet">The ledger has no campaign yet.</p>`}`;
    },
    stop() {
      stopFollowing();
      journal?.stop();
      ledger.stop();
    },
  };
}
