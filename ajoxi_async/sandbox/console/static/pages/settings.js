/** The page of settings: what a person chose for this browser. */
import { LISTS, lists, singleKeys, theme, THEMES, times, TIMES } from '../base/preferences.js';
import { openHelp } from '../frame/palette.js';
import { send, signedIn } from '../base/api.js';
import { attempt } from '../frame/notices.js';
import { html, show } from '../base/view.js';

const THEME_WORDS = { system: 'As the system', light: 'Light', dark: 'Dark' };
const TIME_WORDS = {
  world: 'In the world’s time, UTC',
  local: 'In this computer’s time zone',
  relative: 'As the time from now, such as “3 min ago”',
};

const LIST_WORDS = {
  live: 'Live: they change while things happen, and hold still while you read',
  table: 'As plain tables, 200 rows a page, which stand still: for screen readers, for printing, and to find text with the browser',
};

const choice = (name, legend, preference, choices, words) => html`
  <fieldset class="choices"><legend>${legend}</legend>
    ${choices.map((one) => html`<label class="check"><input type="radio" name=${name} value=${one} .checked=${preference.value === one}
      @change=${() => {
        preference.value = one;
      }}> ${words[one]}</label>`)}
  </fieldset>`;

const signOut = () => attempt(async () => {
  await send('DELETE', 'console/session');
  signedIn.value = false;
});

/** @type {import('../pages.js').Mount} */
export function mount(root) {
  root.classList.add('scrolls');
  return show(root, settingsView);
}

const settingsView = () => html`
  <div class="page-head"><h1>Settings</h1></div>
  <p class="lead">They are kept in this browser, and hold for every sandbox that it shows on this port.</p>
  ${choice('theme', 'Theme', theme, THEMES, THEME_WORDS)}
  ${choice('times', 'Times are shown', times, TIMES, TIME_WORDS)}
  ${choice('lists', 'Long lists', lists, LISTS, LIST_WORDS)}
  <fieldset class="choices"><legend>Keyboard</legend>
    <label class="check"><input type="checkbox" .checked=${singleKeys.value === 'on'} @change=${(event) => {
      singleKeys.value = event.target.checked ? 'on' : 'off';
    }}> Shortcuts of a single key</label>
    <p class="quiet">Switch them off if you speak to your computer. Those with Ctrl work in any case.</p>
    <button @click=${openHelp}>Show all shortcuts</button>
  </fieldset>
  <section class="choices"><h2>Session</h2>
    <p class="quiet">This browser is signed in until the sandbox ends, or for twelve hours after it was last used.</p>
    <button @click=${signOut}>Sign out</button>
  </section>`;
