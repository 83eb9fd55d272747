/** Texts that strangers sent, as a person reads them. They are shown as text, whatever they are. Pure. */

/**
 * JSON with a line for each member; any other text as it is.
 *
 * @param {string} text
 * @returns {string}
 */
export function pretty(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
