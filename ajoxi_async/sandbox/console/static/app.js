/**
 * The console: the side bar, the time bar, and the page of the present address between them.
 */
import { signedIn } from './api.js';
import { badgeOf } from './badges.js';
import { icon } from './icons.js';
import { noticesView } from './notices.js';
import { PAGES } from './pages.js';
import { followTheme, isDark, theme } from './preferences.js';
import { address, BASE, go, route } from './router.js';
import { signIn, signInPage } from './session.js';
import { addCommands, run, tooltip } from './shortcuts.js';
import { connection, followWorld, trouble } from './store.js';
import { mountTimeBar } from './time_bar.js';
import { effect, element, html, nothing, show, signal, untracked } from './view.js';

/** Whether the side bar is open on a narrow page. */
const menuOpen = signal(false);

/**
 * Start the console.
 *
 * @param {string | null} code the one-time code of the link, if there was one
 */
export async function start(code) {
  followTheme();
  // The page is loaded while the session is looked up.
  moduleOf(route.peek())?.load();
  await signIn(code);
  const app = document.getElementById('app');
  app.replaceChildren();
  let stop = null;
  effect(() => {
    const inside = signedIn.value;
    stop?.();
    stop = untracked(() => (inside ? showConsole(app) : showSignIn(app)));
  });
}

function showSignIn(app) {
  document.title = 'Sign in · Ajoxi sandbox';
  return show(app, signInPage);
}

function showConsole(app) {
  const main = element('main', { id: 'main', class: 'page', tabindex: '-1' });
  const side = element('nav', { class: 'side', id: 'side', 'aria-label': 'Pages' });
  const time = element('div');
  const banner = element('div', { role: 'alert' });
  const bar = element('header', { class: 'bar' }, time, banner);
  const corner = element('div');
  const skip = element('a', { class: 'skip', href: '#main' }, 'Skip to the page');
  skip.addEventListener('click', (event) => {
    event.preventDefault();
    main.focus();
  });
  app.replaceChildren(skip, element('div', { class: 'frame' }, side, bar, main), corner);
  const stops = [
    followWorld(),
    show(side, sideBar),
    mountTimeBar(time),
    show(banner, () => (trouble.value ? html`<p class="banner">${icon('alert')} ${trouble.value}</p>` : nothing)),
    show(corner, noticesView),
    addCommands(...globalCommands()),
    followPage(main),
  ];
  return () => {
    for (const stop of stops) stop();
    app.replaceChildren();
  };
}

/** The page of an address, and how its module is loaded; `null` if there is no such page. */
function moduleOf({ page, id }) {
  const found = PAGES.find((one) => one.name === page);
  const load = id === null ? found?.load : found?.one;
  return load ? { title: found.title, load } : null;
}

/** Show the page of the address. It is mounted anew for another page or object, and not for another query. */
function followPage(main) {
  let mounted = '';
  let unmount = () => {};
  let first = true;
  const stop = effect(() => {
    const { world, page, id } = route.value;
    const key = `${world}/${page}/${id ?? ''}`;
    if (key === mounted) return;
    mounted = key;
    untracked(async () => {
      menuOpen.value = false;
      unmount();
      unmount = () => {};
      const found = moduleOf({ page, id });
      const root = element('div', { class: `content page-${page}` });
      const focus = !first;
      first = false;
      if (found === null) {
        unmount = show(root, notFound);
        setTitle('Not found');
      } else {
        setTitle(found.title);
        const module = await found.load().catch(() => null);
        if (mounted !== key) return;
        if (module === null) unmount = show(root, notLoaded);
        else unmount = module.mount(root, { id, title: setTitle });
      }
      main.replaceChildren(root);
      // A screen reader begins with the heading of the new page.
      if (focus) (root.querySelector('[data-focus]') ?? main).focus({ preventScroll: true });
    });
  });
  return () => {
    stop();
    unmount();
  };
}

const setTitle = (text) => {
  document.title = `${text} · Ajoxi sandbox`;
};

const notFound = () => html`
  <div class="empty"><h1>No such page</h1><p>The console has no page at this address.</p>
    <a class="button primary" href=${address('overview')}>Go to the overview</a></div>`;

const notLoaded = () => html`
  <div class="empty"><h1>The page did not load</h1><p>The sandbox did not send it. Is it still running?</p>
    <button class="primary" @click=${() => location.reload()}>Load it again</button></div>`;

function globalCommands() {
  return [
    ...PAGES.map((page) => ({
      id: `go.${page.name}`, label: `Go to ${page.title}`, group: 'Go', keys: `g ${page.key}`, run: () => go(address(page.name)),
    })),
    { id: 'palette', label: 'Find a command', group: 'Console', keys: 'mod+k', inFields: true, run: async () => (await import('./palette.js')).openPalette() },
    { id: 'help', label: 'Show all shortcuts', group: 'Console', keys: '?', run: async () => (await import('./palette.js')).openHelp() },
    { id: 'theme', label: 'Switch between light and dark', group: 'Console', keys: 'y', run: () => {
      theme.value = isDark() ? 'light' : 'dark';
    } },
    { id: 'menu', label: 'Close the menu', group: 'Console', keys: 'Escape', enabled: () => menuOpen.value, run: () => {
      menuOpen.value = false;
    } },
  ];
}

function pageLink(page, current) {
  return html`<li><a href=${address(page.name)} aria-current=${page.name === current ? 'page' : nothing} title=${tooltip(`go.${page.name}`)}>
    ${icon(page.name)}<span class="label">${page.title}</span>${badgeOf(page.name)}</a></li>`;
}

function sideBar() {
  const current = route.value.page;
  const groups = [...new Set(PAGES.map((page) => page.group))];
  return html`
    <div class="brand">
      <button class="plain menu" aria-label="Menu" aria-expanded=${menuOpen.value} aria-controls="pages" @click=${() => {
        menuOpen.value = !menuOpen.value;
      }}>${icon('menu')}</button>
      <a href=${address('overview')} class="logo" aria-label="Ajoxi sandbox, overview"><img src="/_ajoxi/console/static/icon.svg" alt="" width="24" height="24"><span>Ajoxi <em>sandbox</em></span></a>
    </div>
    ${route.value.world === 'main' ? nothing : html`<p class="world"><span class="mono">${route.value.world}</span> <a href=${`${BASE}main/`}>Leave</a></p>`}
    <div id="pages" class="pages ${menuOpen.value ? 'open' : ''}">
      ${groups.map((group) => html`<h2 class="quiet">${group}</h2>
        <ul>${PAGES.filter((page) => page.group === group).map((page) => pageLink(page, current))}</ul>`)}
      <div class="side-foot">
        ${connectionState()}
        <div class="row">
          ${['palette', 'theme', 'help'].map((id) => html`<button class="plain" aria-label=${tooltip(id)} title=${tooltip(id)}
            @click=${() => run(id)}>${icon(id === 'palette' ? 'search' : id)}</button>`)}
        </div>
      </div>
    </div>`;
}

const STATES = {
  live: ['dot', 'Live'],
  connecting: ['ring', 'Connecting…'],
  lost: ['alert', 'Connection lost'],
};

function connectionState() {
  const [name, text] = STATES[connection.value];
  return html`<p class="connection ${connection.value}" role="status">${icon(name)}<span class="label">${text}</span></p>`;
}

