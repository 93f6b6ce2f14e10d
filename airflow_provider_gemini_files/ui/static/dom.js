// Creates elements. Data only ever becomes text or attributes, never markup.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * Return an HTML element. Properties of the element are assigned, `on...` adds a listener, and everything else becomes an
 * attribute. Children that are null, undefined or false are skipped.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} properties
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/**
 * Return an SVG element, as `el` does.
 *
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} properties
 * @param {...(Child | Child[])} children
 * @returns {SVGElementTagNameMap[T]}
 */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Record<string, any>} properties
 * @param {(Child | Child[])[]} children
 * @returns {E}
 */
function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (element instanceof HTMLElement && name in element) Object.assign(element, { [name]: value });
    else element.setAttribute(name, value);
  }
  element.append(.../** @type {(Node | string)[]} */ (children.flat().filter(isShown)));
  return element;
}

/** @param {Child} child */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/**
 * Return the element with an id.
 *
 * @param {string} id
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element #${id}.`);
  return element;
}

/**
 * Render the content of an element again and restore the focus: in the same row if rows have ids.
 *
 * @param {HTMLElement} root
 * @param {() => void} render
 */
export function keepFocus(root, render) {
  const focused = document.activeElement;
  if (!focused || !root.contains(focused)) {
    render();
    return;
  }
  const { anchor, path } = locate(focused, root);
  render();
  if (focused.isConnected) {
    // An element that is put in its place again has lost the focus.
    if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
    return;
  }
  /** @type {Element | null | undefined} */
  let element = anchor === root ? root : document.getElementById(anchor.id);
  for (const index of path) element = element?.children[index];
  if (element instanceof HTMLElement) element.focus({ preventScroll: true });
}

/**
 * Return the nearest ancestor of an element that has an id, or the root, and the path from there to the element.
 *
 * @param {Element} element
 * @param {Element} root
 */
function locate(element, root) {
  /** @type {number[]} */
  const path = [];
  let anchor = element;
  while (anchor !== root && !anchor.id && anchor.parentElement) {
    path.unshift([...anchor.parentElement.children].indexOf(anchor));
    anchor = anchor.parentElement;
  }
  return { anchor, path };
}
