/**
 * A request as code: curl, Python with this SDK, and a test of it. The key is always `$AJOXI_API_KEY`, which no page knows.
 */

/**
 * @typedef {object} Described
 * @property {string} method
 * @property {string} url path and query
 * @property {string | null} [route] the name of its route, such as `calls.create`
 * @property {object | string | null} [body]
 * @property {number | null} [status] of its answer
 * @property {string} [answer] the body of its answer
 */

const shellQuoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/** @param {object | string | null | undefined} body */
const bodyText = (body) => (body === null || body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));

/** The request as a command for a shell. @param {Described} request */
export function asCurl({ method, url, body }) {
  const lines = [`curl ${method === 'GET' ? '' : `-X ${method} `}${shellQuoted(location.origin + url)}`];
  lines.push('-H "Authorization: Bearer $AJOXI_API_KEY"');
  const text = bodyText(body);
  if (text) lines.push("-H 'Content-Type: application/json'", `-d ${shellQuoted(text)}`);
  return lines.join(' \\\n  ');
}

/** Parameters that have another name in Python. */
const PARAMETERS = { from: 'from_', timeout: 'ring_timeout', 'sms.enabled': 'sms_enabled' };

/** How the result of a method is used. A method that is not listed answers one object. */
const LISTS = new Set(['calls.list', 'messages.list', 'recordings.list', 'webhooks.list', 'numbers.search']);
const NOTHING = new Set(['numbers.release', 'webhooks.delete']);

/** The request as Python, or `null` if the SDK has no method for it. @param {Described} request */
export function asPython({ url, route, body }) {
  if (!route) return null;
  return [
    'import os', '', 'import anyio', '', 'from ajoxi_async import AsyncAjoxi', '', '',
    'async def main() -> None:',
    `    async with AsyncAjoxi(os.environ["AJOXI_API_KEY"], base_url=${literal(location.origin)}) as client:`,
    ...used(route, `client.${route}(${given(url, body)})`).map((line) => `        ${line}`),
    '', '', 'anyio.run(main)', '',
  ].join('\n');
}

/** The id in a path, if there is one. @param {string} url */
const idIn = (url) => /^\/v1\/\w+\/([^/?]+)/.exec(url)?.[1];

/** The arguments of a method, as Python. */
function given(url, body) {
  const id = idIn(url);
  const { campaign, ...rest } = { ...queryValues(url.split('?')[1] ?? ''), ...parsedBody(body) };
  return [
    ...(id === undefined ? [] : [literal(decodeURIComponent(id))]),
    ...Object.entries({ ...rest, ...campaign }).map(([name, value]) => `${PARAMETERS[name] ?? name}=${literal(typed(name, value))}`),
  ].join(', ');
}

/** Statuses that a request has in every world, in an empty one as well. */
const SAME_ANYWHERE = new Set([200, 201, 202, 422]);

/**
 * The request as a test with the fixtures of the pytest plugin, or `null` if it cannot be repeated in a world of its own: it was
 * about an object, which is not there, or was answered as only this world answers it.
 *
 * @param {Described} request
 */
export function asPytest({ method, url, route, body, status = null, answer = '' }) {
  if (!route || method !== 'POST' || idIn(url) !== undefined || !SAME_ANYWHERE.has(status ?? 0)) return null;
  const call = `await ajoxi_client.${route}(${given(url, body)})`;
  const { error, ...fields } = parsedBody(answer);
  const sent = parsedBody(body);
  const told = Object.entries(fields).filter(([name, value]) => (name === 'status' || sent[name] === value) && typeof value !== 'object');
  const lines = status === 422
    ? ['with pytest.raises(APIStatusError) as refused:', `    ${call}`, `assert (refused.value.status_code, refused.value.code) == (422, ${literal(error?.code)})`]
    : [`answer = ${call}`, ...told.map(([name, value]) => `assert answer.${PARAMETERS[name] ?? name} ${comparison(value)}`)];
  return [
    'import pytest', '', ...(status === 422 ? ['from ajoxi_async import APIStatusError', ''] : []), '',
    '@pytest.mark.asyncio',
    `async def test_${route.replace('.', '_')}(ajoxi_sandbox, ajoxi_client) -> None:`,
    `    """${method} ${url} is answered ${status}."""`,
    ...lines.map((line) => `    ${line}`), '',
  ].join('\n');
}

const comparison = (value) => (typeof value === 'boolean' ? `is ${literal(value)}` : `== ${literal(value)}`);

/** The values of a query by name; `metadata[team]=blue` is a part of the value `metadata`. */
function queryValues(search) {
  const values = {};
  for (const [name, value] of new URLSearchParams(search)) {
    const key = /^metadata\[(.*)\]$/.exec(name)?.[1];
    if (key === undefined) values[name] = value;
    else values.metadata = { ...values.metadata, [key]: value };
  }
  return values;
}

function used(route, call) {
  if (route === 'transcripts.stream') return [`async for segment in ${call}:`, '    print(segment.speaker, segment.text)'];
  if (LISTS.has(route)) return [`page = await ${call}`, 'print(page.data)'];
  if (NOTHING.has(route)) return [`await ${call}`];
  return [`print(await ${call})`];
}

function parsedBody(body) {
  if (typeof body !== 'string') return body ?? {};
  try {
    const parsed = JSON.parse(body);
    return parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

const NUMBERS = new Set(['limit']);

const typed = (name, value) => (NUMBERS.has(name) && typeof value === 'string' ? Number(value) : value);

/** A JSON value as a Python literal. @param {unknown} value @returns {string} */
function literal(value) {
  if (value === null || value === undefined) return 'None';
  if (value === true) return 'True';
  if (value === false) return 'False';
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value === 'object') return `{${Object.entries(value).map(([name, one]) => `${literal(name)}: ${literal(one)}`).join(', ')}}`;
  return JSON.stringify(value);
}
