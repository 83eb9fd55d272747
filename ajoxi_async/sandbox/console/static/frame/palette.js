/**
 * The palette (`Ctrl + K`): every command by name, and every object by its id. And the help (`?`): every command with its keys.
 */
import { openDialog } from './dialog.js';
import { addressOf, go } from '../base/router.js';
import { commands, keysText } from '../base/shortcuts.js';
import { singleKeys } from '../base/preferences.js';
import { computed, html, signal, untracked } from '../base/view.js';

/** Open the palette. */
export function openPalette() {
  const text = signal('');
  const chosen = signal(0);
  const found = computed(() => {
    const wanted = text.value.trim().toLowerCase().split(/\s+/);
    const target = addressOf(text.value);
    const open = target === null ? [] : [{ label: `Open ${text.value.trim()}`, run: () => go(target) }];
    const usable = untracked(() => commands.value.filter((one) => one.id !== 'palette' && (one.enabled?.() ?? true)));
    return [...open, ...usable.filter((one) => wanted.every((word) => `${one.group} ${one.label}`.toLowerCase().includes(word)))];
  });
  return openDialog('Commands', (close) => {
    const pick = (command) => {
      close();
      // After the dialog has given the focus back, so that a command may move it.
      setTimeout(() => command.run());
    };
    const keydown = (event) => {
      const last = found.value.length - 1;
      if (event.key === 'ArrowDown') chosen.value = Math.min(last, chosen.value + 1);
      else if (event.key === 'ArrowUp') chosen.value = Math.max(0, chosen.value - 1);
      else if (event.key === 'Enter' && last >= 0) pick(found.value[chosen.value]);
      else return;
      event.preventDefault();
      document.getElementById(`command-${chosen.value}`)?.scrollIntoView({ block: 'nearest' });
    };
    const input = (event) => {
      text.value = event.target.value;
      chosen.value = 0;
    };
    const option = (command, place) => html`
      <li id="command-${place}" role="option" aria-selected=${place === chosen.value} @click=${() => pick(command)}>
        <span class="quiet">${command.group ?? 'Open'}</span><span>${command.label}</span><kbd>${keysText(command.keys)}</kbd>
      </li>`;
    return html`
      <input class="palette-input" role="combobox" aria-expanded="true" aria-controls="commands" aria-autocomplete="list" autofocus
        aria-activedescendant=${found.value.length ? `command-${chosen.value}` : ''} aria-label="Command or id" spellcheck="false"
        placeholder="Type a command, or an id such as call_…" @input=${input} @keydown=${keydown}>
      <ul id="commands" class="palette-list" role="listbox" aria-label="Commands">${found.value.map(option)}</ul>
      <p class="quiet palette-none" role="status">${found.value.length ? '' : 'No command has these words.'}</p>`;
  }, { className: 'palette' });
}

const rows = (list) => list.map((one) => html`<tr><td>${one.label}</td><td><kbd>${keysText(one.keys)}</kbd></td></tr>`);

/** Open the list of all keys of the present page. */
export function openHelp() {
  return openDialog('Keyboard shortcuts', (close) => {
    const groups = new Map();
    for (const one of commands.value) if (one.keys) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
    return html`
      <h2>Keyboard shortcuts</h2>
      <div class="help-groups" tabindex="0" role="region" aria-label="All shortcuts">
        ${[...groups].map(([name, list]) => html`
          <section><h3>${name}</h3><table><tbody>${rows(list)}</tbody></table></section>`)}
      </div>
      <div class="buttons">
        <label class="check"><input type="checkbox" .checked=${singleKeys.value === 'on'} @change=${(event) => {
          singleKeys.value = event.target.checked ? 'on' : 'off';
        }}> Shortcuts of a single key</label>
        <button class="primary" autofocus @click=${close}>Close</button>
      </div>`;
  }, { className: 'help' });
}
