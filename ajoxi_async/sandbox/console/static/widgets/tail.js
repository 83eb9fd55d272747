/**
 * Following the end of something that grows, until the person looks elsewhere.
 *
 * Rules:
 * 1. At the end it follows. A gesture away from it (wheel, a key that scrolls up, dragging) stops following at once.
 * 2. Scrolling back to the end, or `resume`, follows again. An event of the program's last scroll that comes after the gesture, while
 *    the end is still shown, is no scrolling back.
 * 3. The program scrolls only while it follows, so that its own scrolling is never taken for the person's.
 * 4. Nothing else changes the state: not a resize, a new line, or another theme.
 */
import { signal } from '../base/view.js';

/** Pixels from the end that still count as the end. */
const NEAR = 24;
const UP = new Set(['ArrowUp', 'PageUp', 'Home']);

/** Follow the end of an element that scrolls. @param {HTMLElement} scroller */
export function followEnd(scroller) {
  const following = signal(true);
  let dragging = false;
  /** Whether the end was out of sight since following stopped. */
  let left = false;
  const atEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight <= NEAR;
  const scrolls = () => scroller.scrollHeight > scroller.clientHeight + NEAR;
  const away = () => {
    if (!scrolls()) return;
    following.value = false;
    left = false;
  };
  const resume = () => {
    following.value = true;
    scroller.scrollTop = scroller.scrollHeight;
  };
  const release = () => {
    dragging = false;
  };
  scroller.addEventListener('wheel', (event) => {
    if (event.deltaY < 0) away();
  }, { passive: true });
  scroller.addEventListener('keydown', (event) => {
    if (UP.has(event.key)) away();
    else if (event.key === 'End') resume();
  });
  scroller.addEventListener('pointerdown', () => {
    dragging = true;
  });
  addEventListener('pointerup', release);
  addEventListener('pointercancel', release);
  scroller.addEventListener('scroll', () => {
    if (!atEnd()) {
      left = true;
      if (dragging) following.value = false;
    } else if (left && !following.peek()) following.value = true;
  }, { passive: true });
  const resized = new ResizeObserver(() => {
    if (following.peek()) scroller.scrollTop = scroller.scrollHeight;
  });
  resized.observe(scroller);
  return {
    following,
    resume,
    /** Something was added: go to the end if it is followed. */
    grew() {
      if (following.peek()) scroller.scrollTop = scroller.scrollHeight;
    },
    dispose() {
      resized.disconnect();
      removeEventListener('pointerup', release);
      removeEventListener('pointercancel', release);
    },
  };
}
