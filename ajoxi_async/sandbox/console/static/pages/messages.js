/** The page of messages: conversations beside the chosen one, and a phone to text and call in from. */
import { emptyPage } from '../widgets/empty.js';
import { post } from '../base/api.js';
import { count, phone, shownTime } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { mountPhone } from '../messages/phone_panel.js';
import { address, go } from '../base/router.js';
import { addCommands } from '../base/shortcuts.js';
import { live } from '../feed/store.js';
import { mountThread } from '../messages/thread.js';
import { element, html, nothing, show, together } from '../base/view.js';

/** The most conversations that are listed, those with the newest messages. */
const MOST = 100;

const textIn = async () => {
  const message = await post('inbound/messages', { from: '+12125550123', body: 'Hello, are you open on Sunday?' });
  go(address('messages', message.conversation_id));
};

const row = (chosen) => (one) => html`
  <li><a href=${address('messages', one.id)} aria-current=${one.id === chosen ? 'true' : nothing}>
    <span class="thread-line"><strong>${phone(one.other_number)}</strong>${one.opted_out ? html`<span class="badge bad">${icon('close')}opted out</span>` : nothing}
      <time class="quiet">${shownTime(one.last?.created_at)}</time></span>
    <span class="thread-line quiet"><span class="clip">${one.last?.direction === 'outbound' ? 'You: ' : ''}${one.last?.body ?? 'media'}</span><span>${count(one.messages)}</span></span>
  </a></li>`;

/** @type {import('../pages.js').Mount} */
export function mount(root, { id, title }) {
  const conversations = live(`conversations?limit=${MOST}`);
  const head = element('div');
  const side = element('nav', { class: 'threads', 'aria-label': 'Conversations' });
  const main = element('section', { class: 'thread', 'aria-label': id === null ? 'A phone' : 'Conversation' });
  const split = element('div', { class: `messages ${id === null ? '' : 'chosen'}` }, side, main);
  root.append(head, split);
  const step = (by) => () => {
    const rows = conversations.value.peek()?.data ?? [];
    const next = rows[rows.findIndex((one) => one.id === id) + by];
    if (next !== undefined) go(address('messages', next.id));
  };
  const removeCommands = addCommands(
    { id: 'messages.down', label: 'Next conversation', group: 'Messages', keys: 'j', run: step(1) },
    { id: 'messages.up', label: 'Conversation before', group: 'Messages', keys: 'k', enabled: () => id !== null, run: step(-1) },
    { id: 'messages.new', label: 'Use the phone', group: 'Messages', keys: 'a', run: () => go(address('messages')) },
    { id: 'messages.back', label: 'Close the conversation', group: 'Messages', keys: 'Escape', enabled: () => id !== null, run: () => go(address('messages')) },
  );
  const stops = [
    show(head, () => html`<div class="page-head"><h1>Messages<small>${conversations.value.value ? count(conversations.value.value.total) : ''}</small></h1>
      ${id === null ? nothing : html`<a class="button" href=${address('messages')}>${icon('calls')} Use the phone</a>`}</div>`),
    show(side, () => {
      const found = conversations.value.value;
      split.classList.toggle('nobody', found?.total === 0);
      if (found === null) return nothing;
      if (found.total === 0) {
        return emptyPage({
          icon: 'messages',
          title: 'No message yet',
          text: 'A text in or out begins a conversation here. Be the phone beside, or press the button.',
          action: 'Text in “Hello”',
          run: textIn,
          request: { method: 'POST', url: '/v1/messages', route: 'messages.send', body: { to: '+15005550140', from: '+14155550100', body: 'Hello' } },
        });
      }
      return html`<ul>${found.data.map(row(id))}</ul>${found.total > MOST ? html`<p class="quiet">The ${MOST} newest of ${count(found.total)}.</p>` : nothing}`;
    }),
    id === null ? mountPhone(main) : mountThread(main, id, title),
  ];
  return together(...stops, removeCommands, conversations.stop);
}
