import { html, show } from '../view.js';
export function mount(root) { return show(root, () => html`<h1>Soon</h1>`); }
