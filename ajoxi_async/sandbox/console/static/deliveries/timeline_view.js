/**
 * The timeline of a delivery: a row for each round, a mark for each attempt, hollow marks for those to come.
 *
 * It is one picture for screen readers, which find the attempts in the table below it.
 */
import { fullTime, spanText } from '../base/format.js';
import { DAY, place, roundsOf, spread, TICKS } from './timeline.js';
import { html, nothing, svg } from '../base/view.js';

const ROW = 44;
const TOP = 14;
/** How near two marks may be, as a share of the axis: less than their width, so that they still overlap a little. */
const gap = () => (innerWidth < 640 ? 0.05 : 0.022);
const SHAPES = {
  planned: svg`<circle class="mark planned" r="6"></circle>`,
  delivered: svg`<circle class="mark good" r="7"></circle><path class="sign" d="M-3 0l2 2.500 4-5"></path>`,
  failed: svg`<circle class="mark bad" r="7"></circle><path class="sign" d="M-2.500-2.500l5 5M2.500-2.500l-5 5"></path>`,
};

/** @param {number} share */
const percent = (share) => `${(2.5 + share * 95).toFixed(3)}%`;

/** What a mark is, in words. @param {import('./timeline.js').Mark} mark @param {number} since */
function markText(mark, since) {
  const after = mark.at - since < 1_000 ? 'at once' : `after ${spanText((mark.at - since) / 1_000)}`;
  if (mark.state === 'planned') return `Attempt ${mark.number}, planned ${after}, ${fullTime(mark.at)}`;
  const { status, error } = mark.attempt;
  return `Attempt ${mark.number}, ${after}: ${mark.state} ${status ?? error ?? ''}`;
}

/**
 * @param {any} delivery as `GET deliveries/{id}` answers
 * @param {object} options
 * @param {'log' | 'linear'} options.scale
 * @param {string | null} options.chosen the key of the mark that is chosen
 * @param {number} options.now milliseconds since the epoch
 * @param {(key: string) => void} options.choose
 */
export function timelineView(delivery, { scale, chosen, now, choose }) {
  const rounds = roundsOf(delivery);
  const marks = rounds.flatMap((round) => round.marks);
  const made = marks.filter((mark) => mark.state !== 'planned').length;
  const label = `Timeline of 24 hours: ${made} attempts made, ${marks.length - made} planned, ${delivery.state}`;
  const axis = TOP + rounds.length * ROW;
  return html`
    <svg class="timeline" role="img" aria-label=${label} width="100%" height=${axis + 22}>
      ${TICKS[scale].map(([seconds, name], index) => tick(percent(place(seconds, scale)), name, axis, index, TICKS[scale].length))}
      ${rounds.map((round, index) => roundRow(round, TOP + index * ROW + ROW / 2, { scale, chosen, choose, many: rounds.length > 1 }))}
      ${nowLine(rounds.at(-1), delivery, scale, now, axis)}
    </svg>`;
}

const anchorOf = (index, many) => (index === 0 ? 'start' : index === many - 1 ? 'end' : 'middle');

/** A narrow page has room for every second name only. */
const tick = (x, name, bottom, index, many) => svg`
  <line class="tick" x1=${x} x2=${x} y1="4" y2=${bottom}></line>
  <text class="tick-name ${index % 2 ? 'second' : ''}" x=${x} y=${bottom + 16} text-anchor=${anchorOf(index, many)}>${name}</text>`;

function roundRow(round, y, { scale, chosen, choose, many }) {
  const places = spread(round.marks.map((mark) => place((mark.at - round.since) / 1_000, scale)), gap());
  return svg`
    <line class="axis" x1=${percent(0)} x2=${percent(1)} y1=${y} y2=${y}></line>
    ${many ? svg`<text class="round-name" x=${percent(0)} y=${y - 12}>round ${round.round}</text>` : nothing}
    ${round.marks.map((mark, index) => svg`
      <svg class="mark-place ${mark.key === chosen ? 'chosen' : ''} ${mark.state}" x=${percent(places[index])} y=${y} overflow="visible"
        @click=${() => mark.state !== 'planned' && choose(mark.key)}>
        <title>${markText(mark, round.since)}</title>
        <rect class="target" x="-13" y="-13" width="26" height="26" rx="13"></rect>${SHAPES[mark.state]}
      </svg>`)}`;
}

function nowLine(round, delivery, scale, now, bottom) {
  const seconds = (now - round.since) / 1_000;
  if (delivery.state !== 'pending' || seconds < 0 || seconds > DAY) return nothing;
  const x = percent(place(seconds, scale));
  return svg`<line class="now" x1=${x} x2=${x} y1="2" y2=${bottom}></line>`;
}
