/** The shared worker: it owns the feeds, so that a browser needs one connection for a world however many tabs are open. */
import { pageOf } from './feed_source.js';

self.addEventListener('connect', (event) => {
  const [port] = event.ports;
  const take = pageOf((message) => port.postMessage(message));
  port.addEventListener('message', ({ data }) => take(data));
  port.start();
});
