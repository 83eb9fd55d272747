/** The sandbox's own receivers of webhooks, which answer as one wants: made, switched, and asked for what came in. */
import { asApi, post, send } from './api.js';

/** The answers of a test endpoint, and what the sandbox does after each. */
export const ANSWERS = [
  { answer: '204', name: '204', text: 'The delivery has arrived.' },
  { answer: '500', name: '500', text: 'The delivery failed and is tried again, up to eleven times within a day.' },
  { answer: '410', name: '410', text: 'The endpoint is gone: the webhook is disabled.' },
  { answer: 'hang', name: 'Hang', text: 'No answer comes. The attempt fails by its timeout.' },
  { answer: 'slow', name: 'Slow', text: 'The answer 204 comes after some seconds.' },
];

/**
 * Make a test endpoint and subscribe it.
 *
 * @param {{answer: string | number, events: string[]}} options
 * @returns {Promise<any>} the webhook, with its secret
 */
export async function createTestEndpoint({ answer, events }) {
  const receiver = await post('receivers', { answer });
  return asApi('POST', '/v1/webhooks', { url: receiver.url, events });
}

/** @param {string} id @param {string} answer */
export const switchAnswer = (id, answer) => send('PUT', `receivers/${encodeURIComponent(id)}`, { answer });
