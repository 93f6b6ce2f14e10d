// The pages of a table: which rows are on the present one, and the buttons to turn them.
import { el } from "./dom.js";
import { count } from "./format.js";

const PAGE_SIZES = [25, 50, 100, 250];

export class Pager {
  /**
   * @param {string} label
   * @param {() => void} onChange - Called when the user has turned the page, or has changed its size.
   */
  constructor(label, onChange) {
    this.onChange = onChange;
    this.element = el("nav", { class: "pager", "aria-label": label });
    this.page = 0;
    this.size = 50;
    /** How many rows there are on all pages. */
    this.total = 0;
  }

  get pages() {
    return Math.ceil(this.total / this.size);
  }

  /**
   * Return the rows of the present page, or of the last one if there are fewer pages now.
   *
   * @template R
   * @param {R[]} rows - Of all pages.
   */
  rows(rows) {
    this.total = rows.length;
    this.page = Math.max(0, Math.min(this.page, this.pages - 1));
    const start = this.page * this.size;
    return rows.slice(start, start + this.size);
  }

  /**
   * @param {string} noun - What a row is: "file".
   * @param {string} [summary] - Of the rows.
   */
  render(noun, summary) {
    this.element.hidden = this.total <= Math.min(...PAGE_SIZES);
    const size = el(
      "select",
      {
        "aria-label": `${noun[0]?.toUpperCase()}${noun.slice(1)}s per page`,
        onchange: () => this.setSize(Number(size.value)),
      },
      PAGE_SIZES.map((one) => el("option", { value: one, selected: one === this.size }, `${one} per page`)),
    );
    const start = this.page * this.size;
    const range = `${start + 1}–${Math.min(start + this.size, this.total)} of ${count(this.total, noun)}`;
    const turnButton = (/** @type {string} */ name, /** @type {-1 | 1} */ by, /** @type {boolean} */ disabled) =>
      el("button", { type: "button", disabled, onclick: () => this.turn(by) }, name);
    this.element.replaceChildren(
      el("span", {}, summary ? `${range}, ${summary}` : range),
      size,
      turnButton("Previous", -1, this.page === 0),
      turnButton("Next", 1, this.page >= this.pages - 1),
    );
  }

  /** @param {number} size */
  setSize(size) {
    this.size = size;
    this.page = 0;
    this.onChange();
  }

  /** @param {-1 | 1} by */
  turn(by) {
    this.page += by;
    this.onChange();
    const [previous, next] = this.element.querySelectorAll("button");
    const [button, other] = by < 0 ? [previous, next] : [next, previous];
    // The button is disabled on the first and the last page; then the other one takes the focus.
    (button?.disabled ? other : button)?.focus();
  }
}
