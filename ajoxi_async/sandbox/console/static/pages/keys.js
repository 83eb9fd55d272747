/** The page of keys: each with a world of its own; minted here, shown once, revoked here. */
import { post, send } from '../base/api.js';
import { confirm } from '../frame/dialog.js';
import { count, counted } from '../base/format.js';
import { icon } from '../widgets/icons.js';
import { attempt, notify } from '../frame/notices.js';
import { BASE, route } from '../base/router.js';
import { showSecret } from '../widgets/secret.js';
import { live } from '../feed/store.js';
import { vocabulary } from '../base/vocabulary.js';
import { objectTable } from '../widgets/table.js';
import { html, nothing, show, signal, together } from '../base/view.js';

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  const keys = live('keys');
  const worlds = live('worlds');
  const denied = signal(/** @type {string[]} */ ([]));

  async function mint(event) {
    event.preventDefault();
    const form = event.target;
    const { label, mode } = Object.fromEntries(new FormData(form));
    await attempt(async () => {
      const made = await post('keys', { label: label.trim(), mode, deny: denied.peek() });
      form.reset();
      denied.value = [];
      await showSecret('The new key', 'API key', made.key, 'It has a world of its own, in which nothing has happened yet.');
    });
  }

  async function revoke(key) {
    const name = key.label || key.id;
    const text = 'Requests with it are answered 401 from now on, and its world is dropped with everything in it.';
    if (!(await confirm(`Revoke ${name}?`, text, 'Revoke'))) return;
    await attempt(async () => {
      await send('DELETE', `keys/${encodeURIComponent(key.id)}`);
      notify(`${name} is revoked`);
    });
  }

  const row = (key, counts) => {
    const here = route.value.world === (key.own ? 'main' : key.id);
    const world = key.own ? 'main' : key.id;
    return html`
      <tr>
        <th scope="row">${key.own ? 'The sandbox’s own' : key.label || html`<span class="quiet">no label</span>`}
          <code class="quiet">${key.id}</code></th>
        <td><code>${key.key}</code></td>
        <td data-label="denied">${key.deny.length ? key.deny.map((name) => html`<code class="tag">${name}</code> `) : html`<span class="quiet">nothing</span>`}</td>
        <td data-label="used">${key.last_used_at === null ? html`<span class="quiet">never</span>` : new Date(key.last_used_at).toLocaleString()}</td>
        <td>${counts ? counted(counts.calls, 'call') : html`<span class="quiet">no world yet</span>`}</td>
        <td class="row-actions">
          ${here ? html`<span class="quiet">shown now</span>` : html`<a class="button" href="${BASE}${encodeURIComponent(world)}/"
            aria-label="Show the world of ${key.label || key.id}">Show</a>`}
          ${key.own ? nothing : html`<button @click=${() => revoke(key)} aria-label="Revoke ${key.label || key.id}">Revoke</button>`}
        </td>
      </tr>`;
  };

  const stop = show(root, () => {
    const value = keys.value.value?.data ?? [];
    const counts = new Map((worlds.value.value?.data ?? []).map((world) => [world.id, world.counts]));
    const routes = (vocabulary.value?.routes ?? []).map((one) => one.name);
    return html`
      <div class="page-head"><h1>Keys<small>${count(value.length)}</small></h1></div>
      <p class="lead">Each key has a world of its own: objects, clock, faults and rate limit. Give one to each test worker, and they
        share a sandbox without seeing each other.</p>
      <form class="surface" @submit=${mint} aria-label="Mint a key">
        <div class="fields">
          <label>Label <input name="label" maxlength="100" placeholder="ci" autocomplete="off"></label>
          <label>Mode <select name="mode"><option value="test">test</option><option value="live">live</option></select></label>
          <button class="primary">${icon('keys')} Mint a key</button>
        </div>
        <details class="deny"><summary>Deny ${denied.value.length ? counted(denied.value.length, 'route') : 'nothing'}</summary>
          <p class="quiet">Requests to these routes are answered 403 <code>permission_denied</code>.</p>
          <div class="checks">${routes.map((name) => html`<label class="check"><input type="checkbox" .checked=${denied.value.includes(name)}
            @change=${(event) => {
              denied.value = event.target.checked ? [...denied.peek(), name] : denied.peek().filter((one) => one !== name);
            }}> ${name}</label>`)}</div>
        </details>
      </form>
      ${objectTable('Keys', ['Key', 'Masked', 'Denied', 'Last used', 'World', ''], value.map((key) => row(key, counts.get(key.id))))}`;
  });
  return together(stop, keys.stop, worlds.stop);
}
