/**
 * Requests to the sandbox: its control surface, and the API's own handlers on the user's behalf.
 *
 * Rules:
 * 1. The session's cookie signs a request; no API key is ever sent. `X-Ajoxi-Console` marks requests that change something: other
 *    sites cannot send this header.
 * 2. Requests act on the world of the present address.
 * 3. An answer that is not 2xx is an `ApiError` with the envelope's code and message. 401 also ends the session.
 */
import { route } from './router.js';
import { signal } from './view.js';

/** Whether the session is signed in; `null` until it is known. */
export const signedIn = signal(/** @type {boolean | null} */ (null));

/**
 * What was answered to a GET that `start.js` sent, by its path, until the first page has been shown.
 *
 * @type {Map<string, any>}
 */
export const early = new Map();

/** An answer that is not 2xx, or no answer (`status` 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {any} body
   */
  constructor(status, code, message, body = null) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

/**
 * Send a request to the control surface and return the JSON of its answer.
 *
 * @param {string} method
 * @param {string} path under `/_ajoxi/`, with its query
 * @param {object} [body]
 * @param {AbortSignal} [abort]
 * @returns {Promise<any>} `null` for an empty answer
 */
export async function send(method, path, body, abort) {
  const headers = { 'X-Ajoxi-Console': '1' };
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  if (route.peek().world !== 'main') headers['X-Ajoxi-Key'] = route.peek().world;
  let answer;
  try {
    const options = { method, headers, signal: abort, cache: 'no-store' };
    if (method !== 'GET') options.body = JSON.stringify(body ?? {});
    answer = await fetch(`/_ajoxi/${path}`, options);
  } catch (error) {
    if (abort?.aborted) throw error;
    throw new ApiError(0, 'unreachable', 'The sandbox does not answer. Is it still running?');
  }
  const text = await answer.text();
  const shown = parsed(text);
  if (answer.ok) return shown;
  if (answer.status === 401 && !path.startsWith('console/as/')) signedIn.value = false;
  throw refusal(shown, answer.status);
}

/** The error of an envelope, with the parameter that was refused. @param {any} body @param {number} [status] */
export function refusal(body, status = 400) {
  const { code = 'error', message = `The sandbox answered ${status}.`, param } = body?.error ?? {};
  return new ApiError(status, code, param ? `${param}: ${message}` : message, body);
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

/** @param {string} path @param {AbortSignal} [abort] */
export const get = (path, abort) => send('GET', path, undefined, abort);

/** @param {string} path @param {object} [body] */
export const post = (path, body) => send('POST', path, body);

/**
 * A query string of the values that are given.
 *
 * @param {Record<string, string | number | null | undefined>} values
 */
export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return kept.length ? `?${new URLSearchParams(kept)}` : '';
}

/**
 * Send a request to the API's own handler: it appears in the request log with the source `console`.
 *
 * @param {string} method
 * @param {string} path such as `/v1/calls`
 * @param {object} [body]
 */
export const asApi = (method, path, body) => send(method, `console/as${path}`, body);
