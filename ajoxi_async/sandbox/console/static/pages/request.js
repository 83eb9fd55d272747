/** One request: what was sent and what was answered, side by side, and the same as code. */
import { openLatest } from '../frame/latest.js';
import { statusBadge } from '../widgets/states.js';
import { fullTime, latency, size } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { codeBlock, pretty, prettyBody } from '../widgets/json.js';
import { copy } from '../frame/notices.js';
import { address, addressOf, go } from '../base/router.js';
import { addCommands, run, tooltip } from '../base/shortcuts.js';
import { asCurl, asPytest, asPython } from '../widgets/snippets.js';
import { follow, refusal } from '../feed/store.js';
import { html, nothing, show, signal, together } from '../base/view.js';

const COPIES = [
  { id: 'request.curl', name: 'curl', keys: 'c c', make: asCurl },
  { id: 'request.python', name: 'Python', keys: 'c p', make: asPython },
  { id: 'request.pytest', name: 'pytest', keys: 'c t', make: asPytest },
  { id: 'request.json', name: 'JSON', keys: 'c j', make: (_, entry) => pretty(entry) },
];

export function mount(root, { id, title }) {
  if (id === 'latest') return openLatest('requests');
  const remove = addCommands({ id: 'request.back', label: 'Back to the requests', group: 'Request', keys: 'Escape', run: () => go(address('requests')) });
  const stop = mountRequest(root, id, { title });
  return together(remove, stop);
}

/**
 * Show a request.
 *
 * @param {HTMLElement} root
 * @param {string} id
 * @param {{title?: (text: string) => void, inPanel?: boolean}} options
 */
export function mountRequest(root, id, { title = () => {}, inPanel = false }) {
  const request = signal(/** @type {any} */ (null));
  const gone = signal(false);
  const described = () => {
    const { method, url, route: name, request_body: body, status, response_body: answer } = request.peek();
    return { method, url, route: name, body, status, answer };
  };
  /** What the request is copied as, and how; what it cannot be copied as is left out. */
  const copies = () => (request.peek() === null ? [] : COPIES.filter(({ make }) => make(described(), request.peek()) !== null));
  return together(
    follow(`requests/${encodeURIComponent(id)}`, (answer) => {
      gone.value = refusal(answer) !== null;
      if (gone.peek()) return;
      request.value = answer;
      title(`${answer.status ?? 'no answer'} ${answer.method} ${answer.url}`);
    }),
    addCommands(...COPIES.map((one) => ({
      id: one.id, label: `Copy as ${one.name}`, group: 'Request', keys: one.keys, enabled: () => copies().includes(one),
      run: () => copy(one.make(described(), request.peek()), one.name),
    }))),
    show(root, () => {
      if (gone.value) return html`<h1>No such request</h1><p role="alert">The log keeps the last 2,000 requests, and ${id} is not among them.</p>`;
      return request.value === null ? html`<h1 class="quiet">Loading…</h1>` : requestView(request.value, inPanel, copies());
    }),
  );
}

const ID = /\b(?:call|wh|cmp|dlv)_[0-9a-f]{6,}\b/g;

/** The objects that a request was about: the ids in its path and its answer. */
function objects({ url, response_body: body }) {
  return [...new Set(`${url} ${body}`.match(ID) ?? [])].slice(0, 5).filter((id) => addressOf(id) !== null);
}

function requestView(request, inPanel, copies) {
  const heading = html`<span class="mono">${request.method} ${request.url}</span>`;
  const facts = [
    ['Route', request.route ?? 'none'], ['Source', request.source], ['Took', latency(request.latency)],
    ['World’s time', request.moment ? fullTime(request.moment) : '–'], ['Wall clock', fullTime(request.at)],
    ['Answer', `${size(request.response_bytes)}${request.streamed ? ', streamed' : ''}${request.duration ? ` in ${latency(request.duration)}` : ''}`],
  ];
  return html`
    ${inPanel ? nothing : html`<nav aria-label="Path" class="path"><a href=${address('requests')} title=${tooltip('request.back')}>Requests</a></nav>`}
    <div class="page-head">
      ${inPanel ? html`<h2>${heading}</h2>` : html`<h1>${heading}</h1>`}
      ${statusBadge(request.status)}
      ${inPanel ? html`<a class="button" href=${address('requests', request.id)}>Open</a>` : nothing}
    </div>
    ${request.error ? html`<p class="problem">${request.error}</p>` : nothing}
    ${request.faults.length ? html`<p class="struck">${icon('faults')} Struck by ${request.faults.map((fault) => html`<strong>${fault.action}</strong> <a href=${address('faults')}>${fault.id}</a> `)}</p>` : nothing}
    <dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}
      ${request.method === 'GET' ? nothing : html`<div><dt>Caused</dt><dd><a href=${address('events', null, { cause: request.id })}>Events of this request</a></dd></div>`}
      ${objects(request).map((id) => html`<div><dt>About</dt><dd><a href=${addressOf(id)}>${id}</a></dd></div>`)}</dl>
    <div class="buttons start">
      ${copies.map(({ id, name }) => html`<button @click=${() => run(id)} title=${tooltip(id)}>${icon('copy')} Copy as ${name}</button>`)}
    </div>
    <div class=${inPanel ? 'sides one' : 'sides'}>
      ${side('Request', request.request_headers, request.request_body)}
      ${side('Answer', request.response_headers, request.response_body)}
    </div>`;
}

const TEXT = /json|text|urlencoded|xml/;

function bodyView(name, headers, body) {
  if (!body) return html`<p class="quiet none">No body.</p>`;
  const type = Object.entries(headers).find(([header]) => header.toLowerCase() === 'content-type')?.[1] ?? 'text/plain';
  return TEXT.test(type) ? codeBlock(`${name} body`, prettyBody(body)) : html`<p class="quiet none">A body of the type ${type}, which is not text.</p>`;
}

function side(name, headers, body) {
  return html`
    <section aria-label=${name}>
      <h2>${name}</h2>
      ${bodyView(name, headers, body)}
      <details><summary>${Object.keys(headers).length} headers</summary>
        <dl class="headers">${Object.entries(headers).map(([header, value]) => html`<div><dt>${header}</dt><dd>${value}</dd></div>`)}</dl></details>
    </section>`;
}
