/**
 * Dialogs: the browser's own `<dialog>`, which keeps the focus inside, closes by Escape, and gives the focus back.
 */
import { element, html, show, signal } from '../base/view.js';

/**
 * Open a dialog.
 *
 * @param {string} title
 * @param {(close: () => void) => unknown} content returns the template of what is inside
 * @param {{className?: string}} [options]
 * @returns {Promise<void>} resolved when it is closed
 */
export function openDialog(title, content, { className = '' } = {}) {
  const dialog = element('dialog', { class: `dialog ${className}`, 'aria-label': title });
  const before = document.activeElement;
  document.body.append(dialog);
  const close = () => dialog.close();
  const stop = show(dialog, () => content(close));
  dialog.addEventListener('click', (event) => {
    if (event.target === dialog) close();
  });
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      stop();
      dialog.remove();
      if (before instanceof HTMLElement) before.focus();
      resolve();
    });
    dialog.showModal();
  });
}

/**
 * Ask before something that cannot be taken back.
 *
 * @param {string} title the question
 * @param {string} text what will happen
 * @param {string} action the word on the button that does it
 * @returns {Promise<boolean>}
 */
export async function confirm(title, text, action) {
  const answer = signal(false);
  await openDialog(title, (close) => html`
    <form class="confirm" @submit=${(event) => {
      event.preventDefault();
      answer.value = true;
      close();
    }}>
      <h2>${title}</h2>
      <p>${text}</p>
      <div class="buttons"><button type="button" @click=${close}>Cancel</button><button class="primary" autofocus>${action}</button></div>
    </form>`);
  return answer.value;
}
