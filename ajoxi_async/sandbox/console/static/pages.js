/**
 * The pages of the console: the side bar, the palette and the keys `g` + letter are made from this list.
 *
 * A page's module exports `mount(root, context)`, which renders into `root` and returns what has to be done when the page goes. It
 * is loaded when the page is first shown. A page that also shows single objects has a second module, `one`.
 */

/**
 * @typedef {object} Page
 * @property {string} name the segment of the address, and the name of the icon
 * @property {string} title
 * @property {string} key the key after `g`
 * @property {string} group
 * @property {() => Promise<{mount: Mount}>} load
 * @property {() => Promise<{mount: Mount}>} [one] for an address with an id
 */

/**
 * @callback Mount
 * @param {HTMLElement} root an empty element
 * @param {{id: string | null, title: (text: string) => void}} context the id of the address; `title` sets the title of the window
 * @returns {() => void}
 */

/** @type {Page[]} */
export const PAGES = [
  { name: 'overview', title: 'Overview', key: 'o', group: 'Watch', load: () => import('./pages/overview.js') },
  { name: 'calls', title: 'Calls', key: 'c', group: 'Watch', load: () => import('./pages/calls.js'), one: () => import('./pages/call.js') },
  { name: 'messages', title: 'Messages', key: 'm', group: 'Watch', load: () => import('./pages/messages.js'), one: () => import('./pages/messages.js') },
  { name: 'numbers', title: 'Numbers', key: 'n', group: 'Watch', load: () => import('./pages/numbers.js') },
  { name: 'campaigns', title: 'Campaigns', key: 'a', group: 'Watch', load: () => import('./pages/campaigns.js'), one: () => import('./pages/campaign.js') },
  { name: 'webhooks', title: 'Webhooks', key: 'w', group: 'Inspect', load: () => import('./pages/webhooks.js'), one: () => import('./pages/webhook.js') },
  { name: 'deliveries', title: 'Deliveries', key: 'd', group: 'Inspect', load: () => import('./pages/deliveries.js'), one: () => import('./pages/delivery.js') },
  { name: 'requests', title: 'Requests', key: 'r', group: 'Inspect', load: () => import('./pages/requests.js'), one: () => import('./pages/request.js') },
  { name: 'events', title: 'Events', key: 'e', group: 'Inspect', load: () => import('./pages/events.js') },
  { name: 'time', title: 'Time', key: 't', group: 'Control', load: () => import('./pages/time.js') },
  { name: 'faults', title: 'Faults', key: 'f', group: 'Control', load: () => import('./pages/faults.js') },
  { name: 'keys', title: 'Keys', key: 'k', group: 'Control', load: () => import('./pages/keys.js') },
  { name: 'settings', title: 'Settings', key: 's', group: 'Control', load: () => import('./pages/settings.js') },
];
