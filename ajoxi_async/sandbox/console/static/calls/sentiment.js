/** The sentiment of a conversation as a line: -1 to 1 from bottom to top, over the time of the call. */
import { html, nothing, svg } from '../base/view.js';

const WIDTH = 600;
const HEIGHT = 56;
const EDGE = 5;

const height = (sentiment) => HEIGHT / 2 - sentiment * (HEIGHT / 2 - EDGE);

const WORDS = [[-0.5, 'angry'], [-0.15, 'displeased'], [0.15, 'neutral'], [0.5, 'pleased'], [2, 'happy']];

/** A sentiment in a word. @param {number} value */
const mood = (value) => WORDS.find(([until]) => value < until)[1];

/** The line of these finals. @param {{start: number, end: number, sentiment: number | null}[]} finals */
export function sentimentLine(finals) {
  const points = finals.filter((segment) => segment.sentiment !== null && segment.sentiment !== undefined);
  if (points.length < 2) return nothing;
  const last = points.at(-1);
  const span = Math.max(last.end, 1);
  const place = (segment) => `${((segment.end / span) * (WIDTH - 2 * EDGE) + EDGE).toFixed(1)},${height(segment.sentiment).toFixed(1)}`;
  const words = `Sentiment: from ${mood(points[0].sentiment)} to ${mood(last.sentiment)} (${last.sentiment.toFixed(2)})`;
  return html`
    <figure class="sentiment">
      <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label=${words}>
        ${svg`<path class="axis" d="M0 ${HEIGHT / 2}H${WIDTH}"></path><polyline points=${points.map(place).join(' ')}></polyline>`}
      </svg>
      <figcaption>Sentiment <strong>${mood(last.sentiment)}</strong> <span class="quiet">${last.sentiment.toFixed(2)}</span></figcaption>
    </figure>`;
}
