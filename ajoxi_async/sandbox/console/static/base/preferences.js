/**
 * What a person chose for this browser: theme, how times are shown, single-key shortcuts. Kept in local storage.
 */
import { effect, signal } from './view.js';

const PREFIX = 'ajoxi-console-';

function kept(name, choices) {
  const stored = read(name);
  const preference = signal(choices.includes(stored) ? stored : choices[0]);
  let written = preference.value;
  effect(() => {
    if (preference.value === written) return;
    written = preference.value;
    write(name, written);
  });
  addEventListener('storage', (event) => {
    if (event.key === PREFIX + name && choices.includes(event.newValue)) preference.value = event.newValue;
  });
  return preference;
}

// Storage may be switched off in a browser; then a choice lasts as long as the page.
function read(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // The choice lasts as long as the page.
  }
}

export const THEMES = ['system', 'light', 'dark'];
export const TIMES = ['world', 'local', 'relative'];
export const LISTS = ['live', 'table'];

export const theme = kept('theme', THEMES);
export const times = kept('times', TIMES);
/** How long lists are shown: see `list/list.js` and `list/table.js`. */
export const lists = kept('lists', LISTS);
/** `on` or `off`: whether shortcuts of a single key work (WCAG 2.1.4). */
export const singleKeys = kept('single-keys', ['on', 'off']);

const dark = matchMedia('(prefers-color-scheme: dark)');

export const isDark = () => (theme.value === 'system' ? dark.matches : theme.value === 'dark');

/** Set the theme on the document, and follow the choice and the system's setting. */
export function followTheme() {
  const apply = () => {
    document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
  };
  effect(apply);
  dark.addEventListener('change', apply);
}
