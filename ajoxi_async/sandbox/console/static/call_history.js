/** What a call led to: its timeline, the webhooks that it fired, and the requests that were about it. */
import { html, show } from './view.js';

export const callTimeline = (root) => show(root, () => html`<p>…</p>`);
export const callWebhooks = (root) => show(root, () => html`<p>…</p>`);
export const callRequests = (root) => show(root, () => html`<p>…</p>`);
