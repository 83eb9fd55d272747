/** The icons, drawn on a grid of 16, in the colour of the text. They are hidden from screen readers: words stand beside them. */
import { svg, html } from '../base/view.js';

const PATHS = {
  overview: 'M2.5 8.5 8 3l5.5 5.5M4 7.5V13h8V7.5',
  calls: 'M3 3.5c0 5.2 4.3 9.5 9.5 9.5l1-3-3-1.2-1.2 1.3C7.700 9.300 6.700 8.300 5.900 6.700L7.200 5.500 6 2.500z',
  messages: 'M2.500 3.500h11v7.500h-6L4.500 13.500V11h-2z',
  numbers: 'M6 2.500 4.500 13.500M11.500 2.500 10 13.500M3 6h10.500M2.500 10H13',
  campaigns: 'M3 6.500v3h2.500L11 12.500v-9L5.500 6.500zM13 6.500v3',
  webhooks: 'M8 5.500a2 2 0 1 0-2.200 2L4 11M8.500 5l2.200 4.200a2.200 2.200 0 1 1-1.200 3.800M10 12H5.800a2 2 0 1 1-2.300-2.600',
  deliveries: 'M2.500 8 13.500 3l-3 10.500L7.500 9zM7.500 9l6-6',
  requests: 'M3 5.500h9.500M10 3l2.500 2.500L10 8M13 10.500H3.500M6 8l-2.500 2.500L6 13',
  events: 'M9 2 4 9h4l-1 5 5-7H8z',
  time: 'M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11M8 5v3.200l2 1.300',
  faults: 'M8 2.500 14 13H2zM8 6.500v3M8 11.200v.3',
  keys: 'M10.500 2.500a3 3 0 1 0-2.600 4.500L3 12v1.500h2V12h1.500v-1.500H8L9.300 8a3 3 0 0 0 1.200-5.500',
  settings: 'M2.500 5h6M11.500 5h2M10 3.500v3M2.500 11h2M7.500 11h6M6 9.500v3',
  play: 'M5 3.500v9l7.500-4.500z',
  pause: 'M5.500 3.500v9M10.500 3.500v9',
  next: 'M4 4v8l6-4zM12 4v8',
  stop: 'M4.500 4.500h7v7h-7z',
  rewind: 'M3 8a5 5 0 1 0 1.700-3.700M3 3v2.500h2.500',
  search: 'M7 3a4 4 0 1 0 0 8 4 4 0 0 0 0-8M10 10l3.500 3.500',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3',
  check: 'M3 8.500l3.500 3.500L13 4.500',
  menu: 'M2.500 4.500h11M2.500 8h11M2.500 11.500h11',
  help: 'M8 2.500a5.500 5.500 0 1 0 0 11 5.500 5.500 0 0 0 0-11M6.300 6.500c0-2.200 3.500-2.100 3.400 0 0 1.200-1.700 1.300-1.700 2.500M8 11v.3',
  incoming: 'M12.500 3.500 4 12M4 6v6h6',
  outgoing: 'M3.500 12.500 12 4M6 4h6v6',
  dot: 'M8 5.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5',
  ring: 'M8 4.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7',
  half: 'M8 4.500a3.500 3.500 0 1 0 0 7zM8 4.500a3.500 3.500 0 0 1 0 7',
  alert: 'M8 3v6.500M8 12v.5',
  theme: 'M8 2.500a5.500 5.500 0 1 0 0 11zM8 2.500a5.500 5.500 0 0 1 0 11',
  more: 'M3.500 8h.2M8 8h.2M12.500 8h.2',
  left: 'M10 3.500 5.500 8l4.500 4.500',
  right: 'M6 3.500 10.500 8 6 12.500',
};

/**
 * An icon.
 *
 * @param {keyof typeof PATHS} name
 */
export const icon = (name) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${svg`<path d=${PATHS[name]}></path>`}</svg>`;

const SPACE = 'http://www.w3.org/2000/svg';

/**
 * The same icon as an element, for lists that work without templates.
 *
 * @param {keyof typeof PATHS} name
 */
export function iconElement(name) {
  const drawn = document.createElementNS(SPACE, 'svg');
  drawn.setAttribute('class', 'icon');
  drawn.setAttribute('viewBox', '0 0 16 16');
  drawn.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SPACE, 'path');
  path.setAttribute('d', PATHS[name]);
  drawn.append(path);
  return drawn;
}
