/**
 * Where the attempts of a delivery lie on its timeline of 24 hours. Pure.
 *
 * Rules:
 * 1. Each round has an axis of its own, which begins when the round began: a replay starts the schedule anew.
 * 2. The axis is logarithmic, because four of eleven attempts lie in the first 0.2 % of a day; it can be linear.
 * 3. Attempts to come are planned marks. They are of the present round only.
 * 4. Marks that would cover one another are moved apart, in their order.
 */

/** The length of the axis in seconds. */
export const DAY = 86_400;

/** Up to this second the logarithmic axis is nearly linear. */
const BEND = 5;

/** The moments of the schedule that the axis names, in seconds, with their names. */
export const TICKS = {
  log: [[0, '0'], [5, '5 s'], [60, '1 min'], [600, '10 min'], [3_600, '1 h'], [6 * 3_600, '6 h'], [DAY, '24 h']],
  linear: [[0, '0'], [6 * 3_600, '6 h'], [12 * 3_600, '12 h'], [18 * 3_600, '18 h'], [DAY, '24 h']],
};

/**
 * The place of a moment on the axis, from 0 to 1.
 *
 * @param {number} seconds since the beginning of the round
 * @param {'log' | 'linear'} scale
 */
export function place(seconds, scale) {
  const within = Math.min(Math.max(seconds, 0), DAY);
  return scale === 'linear' ? within / DAY : Math.log1p(within / BEND) / Math.log1p(DAY / BEND);
}

/**
 * @typedef {object} Mark
 * @property {string} key
 * @property {number} number the number of the attempt in its round
 * @property {number} round
 * @property {number} at milliseconds since the epoch
 * @property {'planned' | 'failed' | 'delivered'} state
 * @property {any} attempt `null` for a planned one
 */

/**
 * The rounds of a delivery with their marks.
 *
 * @param {any} delivery as `GET deliveries/{id}` answers
 * @returns {{round: number, since: number, marks: Mark[]}[]} the oldest round first
 */
export function roundsOf(delivery) {
  const rounds = delivery.rounds.map(({ round, attempts }) => ({
    round,
    since: Date.parse(round === delivery.round ? delivery.since : attempts[0].at),
    marks: attempts.map((attempt) => ({
      key: `${round}.${attempt.number}`,
      number: attempt.number,
      round,
      at: Date.parse(attempt.at),
      state: isDelivered(attempt) ? 'delivered' : 'failed',
      attempt,
    })),
  }));
  if (rounds.at(-1)?.round !== delivery.round) {
    rounds.push({ round: delivery.round, since: Date.parse(delivery.since), marks: [] });
  }
  const present = rounds.at(-1);
  delivery.planned.forEach((time, index) => {
    const number = delivery.attempts + 1 + index;
    const key = `${present.round}.${number}`;
    present.marks.push({ key, number, round: present.round, at: Date.parse(time), state: 'planned', attempt: null });
  });
  return rounds;
}

/** Whether an attempt was answered 2xx. @param {{status: number | null}} attempt */
export const isDelivered = (attempt) => attempt.status !== null && attempt.status >= 200 && attempt.status < 300;

/**
 * Move places apart that are nearer to each other than `gap`, and keep all of them between 0 and 1.
 *
 * @param {number[]} places in ascending order
 * @param {number} gap
 * @returns {number[]}
 */
export function spread(places, gap) {
  const apart = Math.min(gap, places.length > 1 ? 1 / (places.length - 1) : gap);
  const moved = [...places];
  for (let i = 1; i < moved.length; i += 1) moved[i] = Math.max(moved[i], moved[i - 1] + apart);
  let limit = 1;
  for (let i = moved.length - 1; i >= 0; i -= 1) {
    moved[i] = Math.min(moved[i], limit);
    limit = moved[i] - apart;
  }
  return moved;
}
