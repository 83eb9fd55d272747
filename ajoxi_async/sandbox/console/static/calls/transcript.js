/**
 * A transcript while it is being spoken.
 *
 * Rules:
 * 1. A line has one place, by its sequence number. An interim grows in this place and its final replaces it there; a final that
 *    comes again with another text is marked as corrected. An older revision than the shown one is ignored.
 * 2. Finals are read out by screen readers, from a log beside the lines; interims are not.
 * 3. The page follows the newest line as `tail.js` says; finals that come meanwhile are counted.
 */
import { minutes } from '../base/format.js';
import { addCommands, keysText } from '../base/shortcuts.js';
import { followEnd } from '../widgets/tail.js';
import { effect, element, signal } from '../base/view.js';

const NAMES = { customer: 'Customer', ai: 'AI receptionist', agent: 'Agent' };
/** Finals in the log for screen readers. */
const READ_OUT = 3;

/** @typedef {{sequence: number, revision: number, speaker: string, text: string, start: number, is_final: boolean, sentiment: number | null}} Segment */

/** Make an empty transcript. */
export function createTranscript() {
  /** @type {Map<number, {segment: Segment, row: HTMLElement, corrected: boolean}>} */
  const lines = new Map();
  const unseen = signal(0);
  const list = element('ol', { class: 'lines' });
  const scroller = element('div', { class: 'transcript', tabindex: '0', role: 'region', 'aria-label': 'Transcript' }, list);
  const log = element('div', { class: 'hidden', role: 'log', 'aria-label': 'What was said' });
  const pill = element('button', { class: 'pill', type: 'button', title: `Follow the newest line (${keysText('End')})` });
  const root = element('div', { class: 'transcript-frame' }, scroller, log, pill);
  const tail = followEnd(scroller);
  const stopPill = effect(() => {
    const text = tail.following.value ? 'Following' : `Paused${unseen.value ? `, ${unseen.value} new` : ''}`;
    pill.textContent = text;
    pill.classList.toggle('paused', !tail.following.value);
    pill.hidden = tail.following.value && lines.size === 0;
    if (tail.following.value) unseen.value = 0;
  });
  pill.addEventListener('click', tail.resume);
  const removeCommands = addCommands({ id: 'transcript.end', label: 'Follow the newest line', group: 'Transcript', keys: 'End', run: tail.resume });

  /** @param {Segment} segment */
  function take(segment) {
    const known = lines.get(segment.sequence);
    if (known !== undefined && (known.segment.revision > segment.revision || (known.segment.is_final && !segment.is_final))) return;
    const corrected = known !== undefined && known.segment.is_final && known.segment.text !== segment.text;
    const line = known ?? { segment, row: newLine(segment), corrected: false };
    line.segment = segment;
    line.corrected ||= corrected;
    if (known === undefined) insert(segment.sequence, line);
    draw(line);
    if (segment.is_final && (known === undefined || !known.final || corrected)) said(line);
    line.final = segment.is_final;
  }

  function insert(sequence, line) {
    lines.set(sequence, line);
    let after = null;
    for (const row of [...list.children].reverse()) {
      if (Number(row.dataset.sequence) < sequence) break;
      after = row;
    }
    list.insertBefore(line.row, after);
  }

  function said({ segment }) {
    if (!tail.following.peek()) unseen.value += 1;
    log.append(element('p', {}, `${NAMES[segment.speaker] ?? segment.speaker}: ${segment.text}`));
    while (log.children.length > READ_OUT) log.firstElementChild.remove();
  }

  return {
    element: root,
    /** Show segments, in the order in which they came. @param {Segment[]} segments */
    show(segments) {
      segments.forEach(take);
      pill.hidden = lines.size === 0;
      tail.grew();
    },
    /** The finals so far, in the order of the conversation. */
    finals: () => Array.from(lines).sort(([one], [other]) => one - other).map(([, line]) => line.segment).filter((segment) => segment.is_final),
    size: () => lines.size,
    /** Nothing more will be said. */
    end() {
      root.classList.add('ended');
      pill.hidden = tail.following.peek();
    },
    clear() {
      lines.clear();
      list.replaceChildren();
      log.replaceChildren();
      unseen.value = 0;
      root.classList.remove('ended');
    },
    dispose() {
      stopPill();
      removeCommands();
      tail.dispose();
    },
  };
}

function newLine(segment) {
  const side = segment.speaker === 'customer' ? 'them' : 'us';
  return element('li', { class: `line ${side}`, 'data-sequence': segment.sequence },
    element('div', { class: 'who' }, element('span', {}, NAMES[segment.speaker] ?? segment.speaker ?? ''), element('time', {}), element('em', {})),
    element('p', {}));
}

function draw({ segment, row, corrected }) {
  const [head, text] = row.children;
  const [, time, mark] = head.children;
  row.classList.toggle('interim', !segment.is_final);
  if (text.textContent !== segment.text) text.textContent = segment.text;
  time.textContent = segment.start === null || segment.start === undefined ? '' : minutes(segment.start);
  mark.textContent = corrected ? 'corrected' : '';
}
