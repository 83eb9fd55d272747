/** The page of one campaign: exact counts, how its calls ended, its pace and when it will be over, on the world's clock. */
import { post, query } from '../base/api.js';
import { badge } from '../widgets/states.js';
import { count, counted, shownTime, spanText, words } from '../base/format.js';
import { attempt, notify } from '../frame/notices.js';
import { followObject, objectView } from '../widgets/object_view.js';
import { address } from '../base/router.js';
import { shareBar } from '../widgets/share_bar.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { moment } from '../feed/store.js';
import { effect, html, nothing, show, together } from '../base/view.js';

const TONES = {
  answered: 'good', voicemail: 'accent', no_answer: 'warn', busy: 'warn2', failed: 'bad', canceled: 'faint',
};

/**
 * Calls that ended in a second of the world's time, and the seconds until all have.
 *
 * @param {any} campaign
 * @param {number} now milliseconds since the epoch
 * @returns {{pace: number, left: number} | null} `null` before the first call ended
 */
function paceOf(campaign, now) {
  const done = campaign.by_status.completed ?? 0;
  const passed = (now - Date.parse(campaign.created_at)) / 1_000;
  if (done === 0 || passed <= 0) return null;
  const pace = done / passed;
  return { pace, left: (campaign.calls - done) / pace };
}

/** @type {import('../pages.js').Mount} */
export function mount(root, { id, title }) {
  root.classList.add('scrolls');
  const campaign = followObject(`campaigns/${encodeURIComponent(id)}`);
  const release = (amount) => attempt(async () => {
    const { released } = await post(`campaigns/${encodeURIComponent(id)}/release`, amount === null ? {} : { amount });
    notify(`${counted(released, 'call')} released`);
  });
  const isHeld = () => campaign.state.value.value?.mode === 'preview' && campaign.state.value.value.held > 0;
  const removeCommands = addCommands(
    { id: 'campaign.release', label: 'Release the next call', group: 'Campaign', keys: 'r', enabled: isHeld, run: () => release(1) },
    { id: 'campaign.release-all', label: 'Release all calls', group: 'Campaign', keys: 'R', enabled: isHeld, run: () => release(null) },
  );
  const stopTitle = effect(() => title(`${campaign.state.value.value?.name || id} ${campaign.state.value.value?.status ?? ''}`));
  const calls = (values) => `${address('calls')}${query({ campaign: id, ...values })}`;

  const parts = (value) => {
    const { queued = 0, ringing = 0, answered = 0 } = value.by_status;
    return [
      ...Object.entries(value.by_disposition).map(([name, amount]) => ({ name: words(name), amount, tone: TONES[name] ?? 'faint', href: calls({ disposition: name }) })),
      { name: 'live', amount: ringing + answered, tone: 'going', href: calls({ status: 'ringing' }) },
      { name: 'queued', amount: queued, tone: 'rest', href: calls({ status: 'queued' }) },
    ];
  };

  function paceText(value) {
    if (value.status === 'completed') return 'All calls have ended.';
    const pace = paceOf(value, moment.value);
    if (pace === null) return 'No call has ended yet.';
    return `${pace.pace.toFixed(1)} calls a second of the world’s time; the last ends in about ${spanText(pace.left)}.`;
  }

  const shown = (value) => html`
    <div class="page-head"><h1 tabindex="-1" data-focus>${value.name || value.id}${badge(value.status)}</h1>
      ${isHeld() ? html`<button class="primary" title=${tooltip('campaign.release')} @click=${() => run('campaign.release')}>Release the next</button>
        <button title=${tooltip('campaign.release-all')} @click=${() => run('campaign.release-all')}>Release all ${count(value.held)}</button>` : nothing}</div>
    <p class="facts"><code>${value.id}</code><span>${value.mode}</span><span><span class="quiet">created</span> ${shownTime(value.created_at)}</span>
      <a href=${calls({})}>${counted(value.calls, 'call')}</a></p>
    <section class="surface" aria-labelledby="progress"><h2 id="progress">Progress</h2>
      <p class="big"><strong>${count(value.by_status.completed ?? 0)}</strong> of ${count(value.calls)} calls have ended</p>
      ${shareBar({ label: 'Calls by how they ended', parts: parts(value), total: value.calls })}
      <p class="quiet">${paceText(value)}</p>
      ${value.abandoned ? html`<p><strong>${count(value.abandoned)}</strong> were abandoned: a person answered when no agent was free.</p>` : nothing}
      ${value.held ? html`<p class="quiet">${count(value.held)} are held: ${value.mode === 'preview' ? 'they wait for their release' : 'the dialer has not dialled them yet'}.</p>` : nothing}
    </section>`;

  const stop = show(root, () => objectView(id, campaign.state.value, 'campaigns', shown));
  return together(stop, stopTitle, removeCommands, campaign.stop);
}
