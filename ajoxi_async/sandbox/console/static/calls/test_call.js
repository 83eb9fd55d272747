/** The test call that empty pages offer. */
import { asApi } from '../base/api.js';
import { attempt } from '../frame/notices.js';
import { address, go } from '../base/router.js';

const BODY = { to: '+14155550123', from: '+14155550100', ai_receptionist: true, record: true };

/** The same as a request of one's own code. @type {import('../widgets/snippets.js').Described} */
export const TEST_CALL = { method: 'POST', url: '/v1/calls', route: 'calls.create', body: BODY };

/** Place the call and open it. */
export const placeTestCall = () => attempt(async () => {
  const call = await asApi(TEST_CALL.method, TEST_CALL.url, BODY);
  go(address('calls', call.id));
});
