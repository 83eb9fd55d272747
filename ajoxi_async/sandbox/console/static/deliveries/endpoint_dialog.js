/** The dialog that subscribes an endpoint: a test endpoint of the sandbox, or one's own. Its secret is shown once. */
import { ApiError, asApi } from '../base/api.js';
import { openDialog } from '../frame/dialog.js';
import { showSecret } from '../widgets/secret.js';
import { ANSWERS, createTestEndpoint } from './test_endpoints.js';
import { html, nothing, signal } from '../base/view.js';
import { vocabulary } from '../base/vocabulary.js';

const SECRET = 'Every delivery is signed with it, so that the receiver can tell who sent it.';

/**
 * Ask for an endpoint and subscribe it.
 *
 * @param {'test' | 'own'} kind
 * @returns {Promise<any>} the webhook, or `null` if the dialog was cancelled
 */
export async function openEndpointDialog(kind) {
  const problem = signal('');
  const chosen = signal(/** @type {Set<string>} */ (new Set()));
  let made = null;

  const submit = (close) => async (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const events = [...chosen.peek()];
    if (events.length === 0) {
      problem.value = 'Choose at least one event.';
      return;
    }
    try {
      made = kind === 'test' ? await createTestEndpoint({ answer: given.get('answer'), events })
        : await asApi('POST', '/v1/webhooks', { url: given.get('url').trim(), events });
      close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.value = error.message;
    }
  };

  const eventBox = (name) => html`<label class="check"><input type="checkbox" .checked=${chosen.value.has(name)} @change=${() => {
    const next = new Set(chosen.peek());
    if (!next.delete(name)) next.add(name);
    chosen.value = next;
    problem.value = '';
  }}> ${name}</label>`;

  const title = kind === 'test' ? 'Create a test endpoint' : 'Subscribe an endpoint of yours';
  await openDialog(title, (close) => {
    const types = vocabulary.value?.event_types ?? [];
    const all = types.length > 0 && types.every((name) => chosen.value.has(name));
    return html`
      <form class="confirm" @submit=${submit(close)}>
        <h2>${title}</h2>
        ${kind === 'test' ? html`<p class="quiet">The sandbox receives its own deliveries, checks their signature, and answers as you choose.</p>
          <label class="field">It answers <select name="answer" autofocus>${ANSWERS.map((one) => html`<option value=${one.answer}>${one.name}</option>`)}</select></label>`
          : html`<label class="field">URL <input name="url" type="url" required autofocus placeholder="http://127.0.0.1:8000/webhooks" spellcheck="false"></label>`}
        <fieldset class="choices"><legend>Events</legend>
          <div class="checks"><label class="check"><input type="checkbox" .checked=${all} .indeterminate=${!all && chosen.value.size > 0} @change=${() => {
            chosen.value = new Set(all ? [] : types);
            problem.value = '';
          }}> all</label>${types.map(eventBox)}</div></fieldset>
        <p class="problem" role="alert">${problem.value || nothing}</p>
        <div class="buttons"><button type="button" @click=${close}>Cancel</button><button class="primary">Create</button></div>
      </form>`;
  });
  if (made !== null) await showSecret('The webhook’s secret', 'Secret', made.secret, SECRET);
  return made;
}
