/** One conversation: its messages as bubbles, and the field in which either side writes. */
import { ApiError, asApi, post } from '../base/api.js';
import { badge } from '../widgets/states.js';
import { phone, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { followObject } from '../widgets/object_view.js';
import { address } from '../base/router.js';
import { addCommands } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { effect, element, html, nothing, show, signal, together } from '../base/view.js';

/** The most messages that are shown, the newest ones. */
const MOST = 200;

/** How a message that was sent stands. @param {any} message */
const standing = (message) => (message.direction === 'inbound' ? nothing : badge(message.error ?? message.status));

const bubble = (message) => html`
  <li class="bubble ${message.direction}">
    <p class="bubble-text">${message.body ?? html`<span class="quiet">${message.media.length} media</span>`}</p>
    <p class="bubble-foot quiet"><span class="hidden">${message.direction === 'inbound' ? 'from' : 'to'} ${message.direction === 'inbound' ? message.from : message.to}</span>
      ${shownTime(message.created_at)}${message.segments > 1 ? ` · ${message.segments} segments` : ''} ${standing(message)}</p>
  </li>`;

/**
 * @param {HTMLElement} root
 * @param {string} id of the conversation
 * @param {(text: string) => void} title
 * @returns {() => void}
 */
export function mountThread(root, id, title) {
  const conversation = followObject(`conversations/${encodeURIComponent(id)}`);
  const messages = live(`messages?conversation_id=${encodeURIComponent(id)}&limit=${MOST}`);
  const problem = signal('');
  const body = signal('');
  const head = element('div');
  const rows = element('ol');
  const list = element('div', { class: 'bubbles', role: 'log', 'aria-label': 'Messages', tabindex: '0' }, rows);
  const foot = element('div');
  root.append(head, list, foot);

  async function write(inbound) {
    const { own_number: own, other_number: other } = conversation.state.peek().value;
    const text = body.peek().trim();
    if (text === '') {
      problem.value = 'Write something first.';
      foot.querySelector('textarea')?.focus();
      return;
    }
    try {
      if (inbound) await post('inbound/messages', { from: other, to: own, body: text });
      else await asApi('POST', '/v1/messages', { from: own, to: other, body: text });
      body.value = '';
      problem.value = '';
      atEnd = true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.value = error.code === 'opted_out' ? `${phone(other)} has texted STOP: messages to it are refused until it texts START.` : error.message;
    }
  }

  const removeCommands = addCommands(
    { id: 'thread.in', label: 'Text in: the other side writes', group: 'Conversation', keys: 'mod+enter', inFields: true, run: () => write(true) },
    { id: 'thread.write', label: 'Write', group: 'Conversation', keys: 'r', run: () => foot.querySelector('textarea')?.focus() },
  );

  let atEnd = true;
  list.addEventListener('scroll', () => {
    atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  }, { passive: true });

  const stops = [
    effect(() => title(`${phone(conversation.state.value.value?.other_number ?? id)} · Messages`)),
    show(head, () => {
      const { value, problem: why } = conversation.state.value;
      if (value === null) return why ? html`<div class="empty"><h2>${id}</h2><p>${why}</p><a class="button" href=${address('messages')}>Show all conversations</a></div>` : nothing;
      return html`<div class="thread-head"><a class="button plain back" href=${address('messages')} aria-label="All conversations">${icon('left')}</a>
        <h2 tabindex="-1" data-focus>${phone(value.other_number)}</h2>
        <span class="quiet">with ${phone(value.own_number)}</span>
        ${value.opted_out ? html`<span class="badge bad">${icon('close')}opted out</span>` : nothing}</div>
        ${value.opted_out ? html`<p class="opted-out">This number texted STOP. Messages and calls to it are refused with <code>opted_out</code> until it texts START.</p>` : nothing}`;
    }),
    show(rows, () => (messages.value.value?.data ?? []).toReversed().map(bubble)),
    effect(() => {
      if (messages.value.value !== null && atEnd) queueMicrotask(() => { list.scrollTop = list.scrollHeight; });
    }),
    show(foot, () => {
      const { value } = conversation.state.value;
      return value === null ? nothing : html`
        <form class="composer" aria-label="Write a message" @submit=${(event) => {
          event.preventDefault();
          write(event.submitter?.value !== 'out');
        }}>
          <textarea aria-label="Text" rows="2" maxlength="1600" .value=${body.value} @input=${(event) => {
            body.value = event.target.value;
          }} placeholder="Write a message"></textarea>
          <div class="buttons">
            ${['STOP', 'START'].map((word) => html`<button type="button" class="plain" @click=${() => {
              body.value = word;
              foot.querySelector('textarea').focus();
            }}>${word}</button>`)}
            <button value="in">${icon('incoming')} Text in from ${phone(value.other_number)}</button>
            <button value="out" class="primary">${icon('outgoing')} Text out</button>
          </div>
          <p class="problem" role="alert">${problem.value}</p>
        </form>`;
    }),
  ];
  return together(...stops, removeCommands, conversation.stop, messages.stop);
}
