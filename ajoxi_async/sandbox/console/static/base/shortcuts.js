/**
 * The one registry of commands: the page's keys, the `?` help, the palette, the tooltips of buttons and the tests read it.
 *
 * Rules:
 * 1. A command has an id, a label, a group, perhaps keys, and what it does. A page adds its commands when it is shown and removes
 *    them when it goes.
 * 2. Keys are written as `j`, `g c` (one after the other), `mod+k` (Ctrl, or Cmd on a Mac), `Escape`.
 * 3. Keys without Ctrl do nothing while a person types in a field or a dialog is open, and nothing at all when single-key shortcuts
 *    are switched off.
 * 4. If several commands have the same keys, the one that was added last is meant.
 */
import { singleKeys } from './preferences.js';
import { signal } from './view.js';

/**
 * @typedef {object} Command
 * @property {string} id such as `go.calls`
 * @property {string} label what it does, as a button would say it
 * @property {string} group the heading in the help
 * @property {string} [keys]
 * @property {() => void} run
 * @property {() => boolean} [enabled] whether it can be used now; always, unless given
 * @property {boolean} [inFields] whether its keys work while a person types
 */

/** All commands that can be used on the present page, the oldest first. */
export const commands = signal(/** @type {Command[]} */ ([]));

/** The first key of a sequence, for as long as the second may follow. */
const SEQUENCE_MS = 1_200;
let pressed = '';
let forget = 0;

/**
 * Add commands.
 *
 * @param {...Command} added
 * @returns {() => void} removes them
 */
export function addCommands(...added) {
  commands.value = [...commands.peek(), ...added];
  return () => {
    commands.value = commands.peek().filter((one) => !added.includes(one));
  };
}

/** @param {string} id */
const command = (id) => commands.value.findLast((one) => one.id === id);

/** The keys of a command as a person reads them, such as `G then C`; empty if it has none. @param {string | undefined} keys */
export function keysText(keys) {
  if (!keys) return '';
  const mac = navigator.platform.startsWith('Mac');
  const names = { mod: mac ? '⌘' : 'Ctrl', Escape: 'Esc', ArrowDown: '↓', ArrowUp: '↑' };
  const one = (key) => key.split('+').map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part)).join(' + ');
  return keys.split(' ').map(one).join(' then ');
}

/** The tooltip of a button that runs a command: its label and keys. @param {string} id */
export function tooltip(id) {
  const found = command(id);
  if (found === undefined) return '';
  return found.keys ? `${found.label} (${keysText(found.keys)})` : found.label;
}

/** Run a command if it can be used now. @param {string} id */
export function run(id) {
  const found = command(id);
  if (found !== undefined && (found.enabled?.() ?? true)) found.run();
}

function keyOf(event) {
  const modified = event.ctrlKey || event.metaKey;
  return modified ? `mod+${event.key.toLowerCase()}` : event.key;
}

const FIELD = 'input, textarea, select, [contenteditable="true"]';

function isTyping(target) {
  return target instanceof Element && target.matches(FIELD) && !target.matches('[type=checkbox], [type=radio], [type=button]');
}

document.addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing) return;
  const key = keyOf(event);
  const typing = isTyping(event.target);
  const single = !key.startsWith('mod+') && key !== 'Escape';
  if (document.querySelector('dialog[open]')) return;
  if (single && singleKeys.peek() === 'off') return;
  const usable = commands.peek().filter((one) => one.keys && (one.enabled?.() ?? true) && (!typing || one.inFields));
  const sequence = pressed && `${pressed} ${key}`;
  clearTimeout(forget);
  pressed = '';
  // A second key that completes no sequence does nothing: it was not meant as a command of its own.
  const found = usable.findLast((one) => one.keys === (sequence || key));
  if (found !== undefined) {
    event.preventDefault();
    found.run();
  } else if (!sequence && !typing && usable.some((one) => one.keys.startsWith(`${key} `))) {
    pressed = key;
    forget = setTimeout(() => {
      pressed = '';
    }, SEQUENCE_MS);
  }
});
