/** What the pages of lists show while there is no object at all. It is loaded only then. */
import { post } from '../base/api.js';
import { address, go } from '../base/router.js';
import { placeTestCall, TEST_CALL } from '../calls/test_call.js';
import { createTestEndpoint } from '../deliveries/test_endpoints.js';
import { emptyPage } from '../widgets/empty.js';

export const calls = () => emptyPage({
  icon: 'calls',
  title: 'No calls yet',
  text: 'Calls that your code places appear here as they ring, are answered and end. No phone rings: the sandbox plays both sides, and its people talk.',
  action: 'Place a test call',
  run: placeTestCall,
  request: TEST_CALL,
});

export const deliveries = () => emptyPage({
  icon: 'deliveries',
  title: 'No deliveries yet',
  text: 'Each event that a webhook subscribes to is a delivery: posted, signed, and tried up to eleven times within a day. '
    + 'A test endpoint receives them without a server of yours.',
  action: 'Create a test endpoint and a message',
  run: async () => {
    await createTestEndpoint({ answer: '204', events: ['message.received'] });
    await post('inbound/messages', { from: '+12125550123', body: 'Hello' });
    go(address('deliveries'));
  },
  request: { method: 'POST', url: '/v1/webhooks', route: 'webhooks.create', body: { url: 'http://127.0.0.1:8000/webhooks', events: ['message.received'] } },
});

export const events = () => emptyPage({
  icon: 'events',
  title: 'Nothing happened yet',
  text: 'Everything that happens in the world is listed here in order: calls are answered and end, recordings become ready, webhooks are delivered or fail.',
  action: 'Place a test call',
  run: placeTestCall,
  request: TEST_CALL,
});

export const requests = () => emptyPage({
  icon: 'requests',
  title: 'No requests yet',
  text: 'Every request that your code sends is kept here with its answer, both sides whole: headers, bodies, how long it took, and which fault struck it.',
  action: 'Send one: place a test call',
  run: placeTestCall,
  request: TEST_CALL,
});
