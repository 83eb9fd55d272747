/** Addresses with `latest` in place of an id, such as `calls/latest?status=busy`: the newest object with these properties. */
import { get, query } from '../base/api.js';
import { address, go, route } from '../base/router.js';
import { attempt } from './notices.js';

/** Go to it, or to the list if there is none. @param {string} kind the name of the page and of its list */
export function openLatest(kind) {
  attempt(async () => {
    const { data } = await get(`${kind}${query({ limit: 1, ...Object.fromEntries(route.peek().query) })}`);
    go(address(kind, data[0]?.id ?? null), { replace: true });
  });
  return () => {};
}
