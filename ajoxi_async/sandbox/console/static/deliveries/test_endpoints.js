/** The sandbox's own receivers of webhooks, which answer as one wants: made, switched, and asked for what came in. */
import { asApi, post, send } from '../base/api.js';

/** The answers of a test endpoint, and what the sandbox does after each. */
export const ANSWERS = [
  { answer: 204, name: '204', text: 'The delivery has arrived.' },
  { answer: 500, name: '500', text: 'The delivery failed and is tried again, up to eleven times within a day.' },
  { answer: 410, name: '410', text: 'The endpoint is gone: the webhook is disabled.' },
  { answer: 'hang', name: 'Hang', text: 'No answer comes. The attempt fails by its timeout.' },
  { answer: 'slow', name: 'Slow', text: 'The answer 204 comes after three seconds.' },
];

/**
 * Make a test endpoint and subscribe it.
 *
 * @param {{answer: string, events: string[]}} options
 * @returns {Promise<any>} the webhook, with its secret
 */
export async function createTestEndpoint({ answer, events }) {
  const receiver = await post('receivers', { answer: answerOf(answer) });
  return asApi('POST', '/v1/webhooks', { url: receiver.url, events });
}

/** @param {string} id @param {string} answer */
export const switchAnswer = (id, answer) => send('PUT', `receivers/${encodeURIComponent(id)}`, { answer: answerOf(answer) });

/** An answer as the sandbox takes it, from the value of a field. @param {string} value */
const answerOf = (value) => ANSWERS.find((one) => String(one.answer) === value)?.answer ?? value;
