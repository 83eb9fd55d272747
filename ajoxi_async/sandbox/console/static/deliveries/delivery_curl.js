/** An attempt of a delivery as a command that posts the same bytes with the same signature. Pure. */

/** Headers that curl sets by itself. */
const OF_CURL = new Set(['content-length', 'host', 'connection', 'accept-encoding']);

const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

/**
 * @param {{url: string, request_headers: Record<string, string>}} attempt
 * @param {string} body
 * @returns {string}
 */
export function deliveryAsCurl(attempt, body) {
  const sent = Object.entries(attempt.request_headers).filter(([name]) => !OF_CURL.has(name.toLowerCase()));
  return [
    `curl -X POST ${quoted(attempt.url)}`,
    ...sent.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    `--data-binary ${quoted(body)}`,
  ].join(' \\\n  ');
}
