/**
 * The page of faults: what goes wrong on purpose, how often it struck, and a form made of the sandbox's own words.
 *
 * A preset fills the form, so that one sees what it is before it is added.
 */
import { ApiError, post, send } from '../base/api.js';
import { count, shownTime, spanText, words } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, notify } from '../frame/notices.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { objectTable } from '../widgets/table.js';
import { html, nothing, show, signal, together } from '../base/view.js';
import { vocabulary } from '../base/vocabulary.js';

const WHEN = {
  every: ['every', 'match, counted from the first'],
  nth: ['only number', 'of the matches'],
  times: ['the first', 'matches'],
  probability: ['a share of', 'of all matches, drawn by seed'],
};

/** The fields of a fault besides action, match and when: name, label, and attributes of the input. */
const FIELDS = {
  status: ['Status', { type: 'number', min: 400, max: 599 }],
  code: ['Error code', { type: 'text' }],
  retry_after: ['Retry-After, s', { type: 'number', min: 0 }],
  seconds: ['Seconds', { type: 'number', min: 0, step: 'any' }],
  delay: ['Begins in, s', { type: 'number', min: 0, step: 'any' }],
  events: ['After segments', { type: 'number', min: 1 }],
};
const NUMBERS = new Set(['n', 'p', 'status', 'retry_after', 'seconds', 'delay', 'events']);

const BLANK = { action: 'status', match: 'calls.create', when: 'times', n: '2', p: '0.5', status: '503' };

/** When a fault strikes, in words. @param {any} fault */
function whenText({ when, n, p }) {
  if (when === 'nth') return `match ${n} only`;
  if (when === 'every') return n === 1 ? 'every match' : `each ${n}. match`;
  return when === 'times' ? `the first ${n}` : `${Math.round(p * 100)} % of the matches`;
}

/** What it does, in words. @param {any} fault */
function effectText(fault) {
  const parts = [];
  if (['status', 'status_after_commit', 'outage'].includes(fault.action)) parts.push(String(fault.status));
  if (fault.code) parts.push(fault.code);
  if (fault.seconds) parts.push(spanText(fault.seconds));
  if (fault.action === 'sse_cut') parts.push(`after ${fault.events} segments`);
  return parts.join(', ');
}

/** How often it struck, with the most that it can. @param {any} fault */
function firedText({ when, n, fired }) {
  return when === 'times' ? `${count(fired)} of ${n}` : when === 'nth' ? `${count(fired)} of 1` : count(fired);
}

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  const faults = live('faults');
  const form = signal(/** @type {Record<string, string>} */ (BLANK));
  const problem = signal('');
  const change = (name) => (event) => {
    form.value = { ...form.peek(), [name]: event.target.value };
    problem.value = '';
  };

  function usePreset(preset) {
    form.value = Object.fromEntries(Object.entries({ n: 1, p: 0.5, ...preset.fault }).map(([name, value]) => [name, String(value)]));
    problem.value = '';
    root.querySelector('#add-fault')?.focus();
  }

  async function add(event) {
    event.preventDefault();
    const action = vocabulary.value.fault_actions.find((one) => one.action === form.peek().action);
    const used = new Set(['action', 'match', 'when', form.peek().when === 'probability' ? 'p' : 'n', ...action.fields]);
    const given = Object.entries(form.peek()).filter(([name, value]) => used.has(name) && value !== '');
    try {
      const made = await post('faults', Object.fromEntries(given.map(([name, value]) => [name, NUMBERS.has(name) ? Number(value) : value])));
      notify(`${words(made.action)} on ${made.match}: ${whenText(made)}`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.value = error.message;
    }
  }

  const remove = (fault) => attempt(() => send('DELETE', `faults/${encodeURIComponent(fault.id)}`));
  const clear = () => attempt(() => send('DELETE', 'faults'));
  const has = () => Boolean(faults.value.value?.data.length);
  const removeCommands = addCommands(
    { id: 'faults.add', label: 'Add a fault', group: 'Faults', keys: 'a', run: () => root.querySelector('#fault-action')?.focus() },
    { id: 'faults.clear', label: 'Remove all faults', group: 'Faults', keys: 'u', enabled: has, run: clear },
  );

  const input = (name) => {
    const [label, { type, min, max, step }] = FIELDS[name];
    return html`<label>${label} <input type=${type} min=${min ?? nothing} max=${max ?? nothing} step=${step ?? nothing} size="10"
      .value=${form.value[name] ?? ''} placeholder="default" @input=${change(name)}></label>`;
  };

  const formView = (vocab) => {
    const action = vocab.fault_actions.find((one) => one.action === form.value.action) ?? vocab.fault_actions[0];
    const { when } = form.value;
    return html`
      <form class="surface fault-form" aria-label="Add a fault" @submit=${add}>
        <div class="fields">
          <label>What goes wrong <select id="fault-action" @change=${change('action')}>${vocab.fault_actions.map((one) => html`
            <option value=${one.action} .selected=${one.action === action.action}>${words(one.action)}</option>`)}</select></label>
          <label class="grow">Where <input list="fault-matches" .value=${form.value.match ?? '*'} @input=${change('match')} spellcheck="false" autocomplete="off"
            title="A name, or a pattern such as calls.*"></label>
          <datalist id="fault-matches">${['*', ...action.matches].map((name) => html`<option value=${name}></option>`)}</datalist>
          <label>When <select @change=${change('when')}>${vocab.fault_when.map((one) => html`
            <option value=${one.when} .selected=${one.when === when}>${WHEN[one.when]?.[0] ?? one.when}</option>`)}</select></label>
          ${when === 'probability' ? html`<label>Share <input type="number" min="0" max="1" step="0.01" .value=${form.value.p ?? '0.5'} @input=${change('p')}></label>`
            : html`<label>Number <input type="number" min="1" .value=${form.value.n ?? '1'} @input=${change('n')}></label>`}
          ${action.fields.map(input)}
          <button id="add-fault" class="primary">${icon('faults')} Add fault</button>
        </div>
        <p><strong>${action.what}.</strong> <span class="quiet">Your client ${action.client}.${COMMITTED[action.committed] ?? ''}</span></p>
        <p class="problem" role="alert">${problem.value}</p>
      </form>`;
  };

  const row = (fault) => html`
    <tr><th scope="row">${words(fault.action)}</th><td>${effectText(fault)}</td><td><code>${fault.match}</code></td>
      <td>${whenText(fault)}${fault.begins ? html`, from ${shownTime(fault.begins)}` : nothing}</td>
      <td class="number" data-label="matched">${count(fault.matched)}</td><td class="number" data-label="fired"><strong>${firedText(fault)}</strong></td>
      <td class="row-actions"><button aria-label="Remove ${words(fault.action)} on ${fault.match}" @click=${() => remove(fault)}>Remove</button></td></tr>`;

  const stop = show(root, () => {
    const active = faults.value.value?.data ?? [];
    const vocab = vocabulary.value;
    return html`
      <div class="page-head"><h1>Faults<small>${active.length ? count(active.length) : ''}</small></h1>
        ${active.length ? html`<button title=${tooltip('faults.clear')} @click=${() => run('faults.clear')}>Remove all</button>` : nothing}</div>
      <p class="lead">What goes wrong on purpose, to see what your client makes of it. What you do in this console is not disturbed.</p>
      ${active.length ? objectTable('Active faults', ['Fault', 'With', 'Where', 'When', ['Matched', 'number'], ['Fired', 'number'], ''], active.map(row)) : html`<p class="surface">No fault is active: the sandbox answers as the API does. Choose one below.</p>`}
      ${vocab === null ? nothing : html`
        <h2>Presets</h2>
        <div class="presets">${vocab.fault_presets.map((preset) => html`<button class="preset" @click=${() => usePreset(preset)}>
          <strong>${preset.name}</strong><span class="quiet">${preset.effect}</span></button>`)}</div>
        <h2>Add a fault</h2>
        ${formView(vocab)}`}`;
  });
  return together(stop, removeCommands, faults.stop);
}

const COMMITTED = {
  yes: ' The command is carried out all the same.',
  no: ' The command is not carried out.',
  later: ' The command is carried out later.',
};
