/** Tabs, whose choice is in the address. Arrows move between them, as screen readers expect. */
import { route, setQuery } from '../base/router.js';
import { html, nothing } from '../base/view.js';

/**
 * The row of tabs.
 *
 * @param {string} label
 * @param {{name: string, title: string, note?: unknown}[]} tabs the first one needs no word in the address
 */
export function tabRow(label, tabs) {
  const chosen = chosenTab(tabs);
  const keydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const place = (tabs.findIndex((tab) => tab.name === chosen) + step + tabs.length) % tabs.length;
    choose(tabs, tabs[place].name);
    document.getElementById(`tab-${tabs[place].name}`)?.focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} @keydown=${keydown}>${tabs.map((tab) => html`
    <button role="tab" id="tab-${tab.name}" aria-selected=${tab.name === chosen} aria-controls=${tab.name === chosen ? `panel-${tab.name}` : nothing}
      tabindex=${tab.name === chosen ? 0 : -1} @click=${() => choose(tabs, tab.name)}>${tab.title}${tab.note ?? nothing}</button>`)}</div>`;
}

const choose = (tabs, name) => setQuery({ tab: name === tabs[0].name ? null : name });

/** The name of the chosen tab. @param {{name: string}[]} tabs */
export function chosenTab(tabs) {
  const wanted = route.value.query.get('tab');
  return tabs.some((tab) => tab.name === wanted) ? wanted : tabs[0].name;
}
