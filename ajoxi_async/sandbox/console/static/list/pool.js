/**
 * The rows of a list that are in the document: few elements, which show other objects as the list is scrolled.
 *
 * Rules:
 * 1. The elements are in the order of the list, which screen readers follow. Elements that leave the window at one end come in at
 *    the other; a window that overlaps nothing of the one before moves no element.
 * 2. The element that has the focus stays with its row, also where the row leaves the window.
 * 3. The elements lie one below the other, and a scroll moves all of them together, which a browser does without drawing them anew.
 */

/** The height of a row in pixels, as in `console.css`. */
export const ROW = 36;

export class RowPool {
  /** @param {HTMLElement} body @param {() => HTMLElement} make makes an element of a row */
  constructor(body, make) {
    this.body = body;
    this.make = make;
    /** The element at place k shows the row with index `from + k`. @type {HTMLElement[]} */
    this.rows = [];
    this.from = 0;
    /** The focused element whose row is outside the window. @type {HTMLElement | null} */
    this.pinned = null;
  }

  /** The element of a row, if it is in the document. @param {number} index @returns {HTMLElement | undefined} */
  of(index) {
    return this.rows[index - this.from] ?? (this.pinned?.index === index ? this.pinned : undefined);
  }

  /** Show the rows from `first` to `last`; `fill(element, index)` is called for each. */
  arrange(first, last, fill) {
    const amount = Math.max(0, last - first + 1);
    this.release();
    this.pin(first, last);
    while (this.rows.length > amount) this.rows.pop().remove();
    this.turn(first - this.from);
    while (this.rows.length < amount) {
      this.rows.push(this.make());
      this.body.append(this.rows.at(-1));
    }
    if (this.from !== first) this.body.style.transform = `translateY(${first * ROW}px)`;
    this.from = first;
    this.unpin();
    this.rows.forEach((row, place) => {
      put(row, first + place);
      fill(row, first + place);
    });
    if (this.pinned === null) return;
    this.pinned.style.top = `${(this.pinned.index - first) * ROW}px`;
    fill(this.pinned, this.pinned.index);
  }

  /** Move the elements that leave the window at one end to the other. */
  turn(shift) {
    const { rows, body } = this;
    if (shift === 0 || Math.abs(shift) >= rows.length) return;
    if (shift > 0) {
      const moved = rows.splice(0, shift);
      rows.push(...moved);
      body.append(...moved);
    } else {
      const moved = rows.splice(shift);
      rows.unshift(...moved);
      body.prepend(...moved);
    }
  }

  /** Take the element that has the focus out of the pool if its row leaves the window. */
  pin(first, last) {
    const place = this.rows.indexOf(document.activeElement);
    const row = this.rows[place];
    if (row === undefined || (row.index >= first && row.index <= last)) return;
    this.pinned = row;
    row.classList.add('pinned');
    const fresh = this.make();
    this.rows[place] = fresh;
    row.after(fresh);
  }

  /** Put the pinned element back if its row is in the window. */
  unpin() {
    const place = this.pinned === null ? -1 : this.pinned.index - this.from;
    if (place < 0 || place >= this.rows.length) return;
    this.rows[place].remove();
    this.rows[place] = this.pinned;
    this.pinned.classList.remove('pinned');
    this.pinned = null;
  }

  /** Remove the pinned element once it has lost the focus. */
  release() {
    if (this.pinned === null || this.pinned === document.activeElement) return;
    this.pinned.remove();
    this.pinned = null;
  }

  /** Forget which objects the elements show. */
  clear() {
    for (const row of this.rows) row.item = undefined;
  }
}

function put(row, index) {
  if (row.index === index) return;
  row.index = index;
  row.setAttribute('aria-rowindex', String(index + 2));
}
