/** Replaying dead letters: one, a selection, or all of them. */
import { post } from '../base/api.js';
import { confirm } from '../frame/dialog.js';
import { counted } from '../base/format.js';
import { attempt, notify } from '../frame/notices.js';

/**
 * Ask, then deliver dead letters again.
 *
 * @param {string[] | null} ids some of them, or `null` for all
 * @param {number} [amount] how many there are, for the question
 * @returns {Promise<boolean>} whether they are being delivered again
 */
export async function replay(ids, amount = ids?.length ?? 0) {
  const what = ids?.length === 1 ? ids[0] : counted(amount, 'dead letter');
  const text = 'A new round of up to eleven attempts begins: the same event id, the same bytes, signed with the present secret.';
  if (!(await confirm(`Replay ${what}?`, text, 'Replay'))) return false;
  const answer = await attempt(() => post('dead-letters/replay', ids === null ? {} : { ids }));
  if (answer === undefined) return false;
  notify(`${counted(answer.replayed, 'delivery').replace('deliverys', 'deliveries')} in a new round`);
  return true;
}
