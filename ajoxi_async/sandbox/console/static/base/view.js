/**
 * Templates that follow signals: what every page renders with.
 *
 * Strangers' text reaches the page as text nodes and attribute values of lit-html templates only. No module sets HTML.
 */
import { html, nothing, render, svg } from '../vendor/lit-html.js';
import { batch, computed, effect, signal, untracked } from '../vendor/signals-core.js';

export { batch, computed, effect, html, nothing, render, signal, svg, untracked };

/**
 * Render a template into an element, and again whenever a signal that it read changes.
 *
 * @param {Element} root
 * @param {() => unknown} template returns a lit-html template
 * @returns {() => void} stops following and removes what was rendered
 */
export function show(root, template) {
  const stop = effect(() => render(template(), root));
  return () => {
    stop();
    render(nothing, root);
  };
}

/**
 * Mount something as soon as its module is there, unless it has to go before.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @param {(module: T) => (() => void)} mount
 * @returns {() => void} stops it
 */
export function later(load, mount) {
  let stop = () => {};
  let left = false;
  const wait = async () => {
    const module = await load();
    if (!left) stop = mount(module);
  };
  wait();
  return () => {
    left = true;
    stop();
  };
}

/**
 * An element with attributes and children. A child that is a string becomes a text node.
 *
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] `true` sets an empty attribute; `false`, `null` and `undefined` set none
 * @param {...(Node | string)} children
 * @returns {HTMLElement}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children);
  return made;
}

/** One function that stops several things, in their order. @param {...(() => void)} stops */
export const together = (...stops) => () => {
  for (const stop of stops) stop();
};
