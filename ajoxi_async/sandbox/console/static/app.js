/**
 * The console: the side bar, the time bar, and the page of the present address between them.
 */
import { early, signedIn } from './base/api.js';
import { isDark, theme } from './base/preferences.js';
import { address, go, route } from './base/router.js';
import { addCommands } from './base/shortcuts.js';
import { effect, element, html, later, nothing, show, together, untracked } from './base/view.js';
import { followWorld, trouble } from './feed/store.js';
import { noticesView } from './frame/notices.js';
import { menuOpen, sideBar } from './frame/side_bar.js';
import { mountTimeBar } from './frame/time_bar.js';
import { PAGES } from './pages.js';
import { icon } from './widgets/icons.js';

/**
 * Start the console.
 *
 * @param {import('./start.js').Sent} sent the request that was sent before this module was there
 */
export async function start(sent) {
  // The page is loaded while the session is looked up, and both are waited for, so that the first frame shows the rows.
  const [inside] = await Promise.all([isSignedIn(sent), loaded(moduleOf(route.peek()))]);
  signedIn.value = inside;
  const app = document.getElementById('app');
  app.replaceChildren();
  let stop = null;
  effect(() => {
    const inside = signedIn.value;
    stop?.();
    stop = untracked(() => (inside ? showConsole(app) : showSignIn(app)));
  });
}

/** Whether there is a session: any answer to a GET but 401 says so, such as that the world of the address is not there. */
async function isSignedIn({ path, withCode, answer: waiting }) {
  const answer = await waiting;
  if (withCode) return answer?.status === 201 || (await import('./base/session.js')).hasOther(answer);
  if (answer?.ok) early.set(path, await answer.json());
  return answer !== null && answer.status !== 401;
}

function showSignIn(app) {
  document.title = 'Sign in · Ajoxi sandbox';
  return later(() => import('./base/session.js'), ({ signInPage }) => show(app, signInPage));
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
  return together(...stops, () => app.replaceChildren());
}

/** The page of an address, and how its module is loaded; `null` if there is no such page. */
function moduleOf({ page, id }) {
  const found = PAGES.find((one) => one.name === page);
  const load = id === null ? found?.load : found?.one;
  return load ? { title: found.title, load } : null;
}

/** The modules of pages that were loaded, by what loads them: such a page is shown without a wait. */
const modules = new Map();

/** The module of a page; `null` if there is no such page, or it does not load. @param {ReturnType<typeof moduleOf>} found */
async function loaded(found) {
  const module = (await found?.load().catch(() => null)) ?? null;
  if (module !== null) modules.set(found.load, module);
  return module;
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
        const module = modules.get(found.load) ?? (await loaded(found));
        if (mounted !== key) return;
        if (module === null) unmount = show(root, notLoaded);
        else unmount = module.mount(root, { id, title: setTitle });
      }
      // Whatever was not asked for by now would be out of date later.
      early.clear();
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
    { id: 'palette', label: 'Find a command', group: 'Console', keys: 'mod+k', inFields: true, run: async () => (await import('./frame/palette.js')).openPalette() },
    { id: 'help', label: 'Show all shortcuts', group: 'Console', keys: '?', run: async () => (await import('./frame/palette.js')).openHelp() },
    { id: 'theme', label: 'Switch between light and dark', group: 'Console', keys: 'y', run: () => {
      theme.value = isDark() ? 'light' : 'dark';
    } },
    { id: 'menu', label: 'Close the menu', group: 'Console', keys: 'Escape', enabled: () => menuOpen.value, run: () => {
      menuOpen.value = false;
    } },
  ];
}
