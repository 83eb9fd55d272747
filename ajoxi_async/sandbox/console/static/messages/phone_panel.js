/** A phone outside of the account: who one is, and which of the account's numbers one calls or texts. */
import { ApiError, asApi, post } from '../base/api.js';
import { phone } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { magicChoices, meaningOf } from './magic_numbers.js';
import { notify } from '../frame/notices.js';
import { followOwnNumbers, numberOptions } from './own_numbers.js';
import { address, go } from '../base/router.js';
import { html, nothing, show, signal, together } from '../base/view.js';

/**
 * @param {HTMLElement} root
 * @returns {() => void}
 */
export function mountPhone(root) {
  const numbers = followOwnNumbers();
  const from = signal('+12125550123');
  const to = signal('');
  const body = signal('Hello');
  const problem = signal('');

  async function act(what) {
    problem.value = '';
    const own = to.peek() || numbers.value.peek()?.data[0]?.phone_number;
    try {
      if (what === 'call') {
        const call = await post('inbound/calls', { from: from.peek().trim(), to: own });
        notify(`${phone(call.from)} calls`, address('calls', call.id));
        go(address('calls', call.id));
      } else {
        const message = what === 'in' ? await post('inbound/messages', { from: from.peek().trim(), to: own, body: body.peek() })
          : await asApi('POST', '/v1/messages', { from: own, to: from.peek().trim(), body: body.peek() });
        go(address('messages', message.conversation_id));
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.value = error.message;
    }
  }

  const set = (field) => (event) => {
    field.value = event.target.value;
  };
  const stop = show(root, () => html`
    <form class="surface phone" aria-label="A phone" @submit=${(event) => {
      event.preventDefault();
      act(event.submitter?.value ?? 'in');
    }}>
      <h2>${icon('calls')} A phone</h2>
      <label class="field">Its number <input type="tel" list="magic" .value=${from.value} @input=${set(from)} required spellcheck="false" autocomplete="off"></label>
      ${magicChoices('magic')}
      ${meaningOf(from.value) ? html`<p class="quiet">${meaningOf(from.value)}</p>` : nothing}
      <label class="field">Your number <select @change=${set(to)}>${numberOptions(numbers.value.value, to.value)}</select></label>
      <label class="field">Text <textarea rows="2" maxlength="1600" .value=${body.value} @input=${set(body)}></textarea></label>
      <div class="buttons"><button value="in" class="primary">${icon('incoming')} Text in</button><button value="out">${icon('outgoing')} Text out</button>
        <button value="call">${icon('calls')} Call in</button></div>
      <p class="problem" role="alert">${problem.value}</p>
    </form>`);
  return together(stop, numbers.stop);
}
