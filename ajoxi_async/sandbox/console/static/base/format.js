/**
 * How times, spans, sizes and phone numbers are shown. The world's time is in UTC.
 */
import { times } from './preferences.js';
import { clock, moment, now } from '../feed/store.js';

const two = (value) => String(value).padStart(2, '0');
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Milliseconds since the epoch of an RFC 3339 time. @param {string | number} time */
const millis = (time) => (typeof time === 'number' ? time : Date.parse(time));

/**
 * A moment as the person chose to see times: the day only where it is not today's.
 *
 * @param {string | number | null | undefined} time
 */
export function shownTime(time) {
  if (time === null || time === undefined) return '–';
  const at = millis(time);
  if (times.value === 'relative') return relative(at, moment.value);
  return times.value === 'local' ? clockText(at, true) : clockText(at, false);
}

function clockText(at, local) {
  const date = new Date(at - (local ? new Date(at).getTimezoneOffset() * 60_000 : 0));
  const text = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const today = Math.floor(at / 86_400_000) === Math.floor((clock.peek() === null ? at : now()) / 86_400_000);
  return today ? text : `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${text}`;
}

/** A moment with its date, to the second, in UTC. @param {string | number} time */
export function fullTime(time) {
  const date = new Date(millis(time));
  return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]} ${date.getUTCFullYear()} ${date.toISOString().slice(11, 19)}`;
}

/** `in 5 s`, `3 min ago`. @param {number} at @param {number} from */
export function relative(at, from) {
  const span = spanText(Math.abs(at - from) / 1000);
  if (span === '0 s') return 'now';
  return at > from ? `in ${span}` : `${span} ago`;
}

const UNITS = [[86_400, 'd'], [3_600, 'h'], [60, 'min'], [1, 's']];

/** A span in its two largest units: `2 min 35 s`. @param {number} seconds */
export function spanText(seconds) {
  let rest = Math.round(seconds);
  const parts = [];
  for (const [size, name] of UNITS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount) parts.push(`${amount} ${name}`);
    if (parts.length === 2) break;
  }
  return parts.join(' ') || '0 s';
}

/** `mm:ss` of a call or recording. @param {number} seconds */
export const minutes = (seconds) => `${Math.floor(seconds / 60)}:${two(Math.floor(seconds % 60))}`;

/** Seconds of real time as `1.2 ms`, `340 ms`, `2.1 s`. @param {number} seconds */
export function latency(seconds) {
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  return seconds >= 0.01 ? `${Math.round(seconds * 1000)} ms` : `${(seconds * 1000).toFixed(1)} ms`;
}

/** `1,204`, without the browser's formats of numbers: the first use of these takes longer than all rows of a list. @param {number} value */
export const count = (value) => String(value).replace(/\B(?=(?:\d{3})+$)/g, ',');

/** `1 call`, `2 calls`. @param {number} amount @param {string} noun */
export const counted = (amount, noun) => `${count(amount)} ${noun}${amount === 1 ? '' : 's'}`;

/** `512 B`, `2.4 KB`. @param {number} bytes */
export const size = (bytes) => (bytes < 1024 ? `${bytes} B` : `${(bytes / 1024).toFixed(1)} KB`);

/** A North American number in groups; others as they are. @param {string | null | undefined} number */
export function phone(number) {
  const parts = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number ?? '');
  return parts ? `+1 ${parts[1]} ${parts[2]} ${parts[3]}` : (number ?? '–');
}

/** `no answer` from `no_answer`. @param {string | null | undefined} word */
export const words = (word) => (word ?? '–').replaceAll('_', ' ');
