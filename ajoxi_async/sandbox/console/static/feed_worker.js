/**
 * The shared worker: it owns the stream of changes, so that a browser needs one connection however many tabs are open.
 *
 * A tab says `{world}` to follow a world, `{hidden}` when it is hidden or shown, `{retry}` to connect again and `{bye}` when it goes.
 */
import { follow } from './feed_source.js';

self.addEventListener('connect', (event) => {
  const [port] = event.ports;
  const follower = { hidden: false, tell: (message) => port.postMessage(message) };
  let following = null;
  port.addEventListener('message', ({ data }) => {
    if (data.hidden !== undefined) follower.hidden = data.hidden;
    if (data.world !== undefined || data.bye) {
      following?.stop();
      following = data.bye ? null : follow(data.world, follower);
    } else {
      following?.settle();
    }
  });
  port.start();
});
