/**
 * What changed between two attempts of a delivery. Pure.
 *
 * Rules:
 * 1. Lines are compared by their longest common subsequence. Texts of which too many lines differ are shown as replaced, so that
 *    the work is bounded.
 * 2. Names of headers are compared without regard to case. A header that was sent once stands beside an empty place.
 * 3. Rows that are the same are folded, except a few beside rows that changed.
 */

/** The most cells of the table of a comparison: a few milliseconds. */
const MOST_CELLS = 1_000_000;

/**
 * @typedef {object} Row
 * @property {'same' | 'removed' | 'added'} kind
 * @property {string} text
 */

/**
 * Compare two texts by lines.
 *
 * @param {string} before
 * @param {string} after
 * @returns {Row[]}
 */
export function lineDiff(before, after) {
  const left = before.split('\n');
  const right = after.split('\n');
  let first = 0;
  while (first < left.length && first < right.length && left[first] === right[first]) first += 1;
  let last = 0;
  const shorter = Math.min(left.length, right.length) - first;
  while (last < shorter && left[left.length - 1 - last] === right[right.length - 1 - last]) last += 1;
  const same = (text) => ({ kind: 'same', text });
  return [
    ...left.slice(0, first).map(same),
    ...middle(left.slice(first, left.length - last), right.slice(first, right.length - last)),
    ...left.slice(left.length - last).map(same),
  ];
}

/** Compare lines that have neither a common beginning nor a common end. */
function middle(left, right) {
  const rows = [];
  const width = right.length + 1;
  let [at, to] = [0, 0];
  if (left.length * right.length <= MOST_CELLS) {
    // common[i * width + j]: how many lines left[i..] and right[j..] have in common.
    const common = new Uint32Array((left.length + 1) * width);
    for (let i = left.length - 1; i >= 0; i -= 1) {
      for (let j = right.length - 1; j >= 0; j -= 1) {
        const [below, beside] = [common[(i + 1) * width + j], common[i * width + j + 1]];
        common[i * width + j] = left[i] === right[j] ? common[(i + 1) * width + j + 1] + 1 : Math.max(below, beside);
      }
    }
    while (at < left.length && to < right.length) {
      if (left[at] === right[to]) {
        rows.push({ kind: 'same', text: left[at] });
        at += 1;
        to += 1;
      } else if (common[(at + 1) * width + to] >= common[at * width + to + 1]) {
        rows.push({ kind: 'removed', text: left[at] });
        at += 1;
      } else {
        rows.push({ kind: 'added', text: right[to] });
        to += 1;
      }
    }
  }
  for (; at < left.length; at += 1) rows.push({ kind: 'removed', text: left[at] });
  for (; to < right.length; to += 1) rows.push({ kind: 'added', text: right[to] });
  return rows;
}

/**
 * Compare named values, such as headers.
 *
 * @param {Record<string, string>} before
 * @param {Record<string, string>} after
 * @returns {{name: string, before: string | null, after: string | null, same: boolean}[]} in the order of `before`, then new ones
 */
export function namedDiff(before, after) {
  const right = new Map(Object.entries(after).map(([name, value]) => [name.toLowerCase(), { name, value }]));
  const rows = Object.entries(before).map(([name, value]) => {
    const other = right.get(name.toLowerCase());
    right.delete(name.toLowerCase());
    return { name, before: value, after: other?.value ?? null, same: other?.value === value };
  });
  return [...rows, ...[...right.values()].map(({ name, value }) => ({ name, before: null, after: value, same: false }))];
}

/**
 * Group rows into runs, of which those that are the same can be folded away.
 *
 * @template T
 * @param {T[]} rows
 * @param {(row: T) => boolean} isSame
 * @param {number} [beside] how many same rows are left beside a row that changed
 * @returns {{folded: boolean, rows: T[]}[]}
 */
export function folded(rows, isSame, beside = 0) {
  const kept = new Set();
  rows.forEach((row, number) => {
    if (isSame(row)) return;
    for (let near = number - beside; near <= number + beside; near += 1) kept.add(near);
  });
  const runs = [];
  rows.forEach((row, number) => {
    const fold = !kept.has(number);
    if (runs.at(-1)?.folded !== fold) runs.push({ folded: fold, rows: [] });
    runs.at(-1).rows.push(row);
  });
  // Folding a single row would hide as much as it shows.
  for (const run of runs) run.folded &&= run.rows.length > 1 || beside === 0;
  return runs;
}
