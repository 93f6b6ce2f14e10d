// Elements, made so that data can only ever become text.

const SVG = new Set(["svg", "rect", "title"]);

/** Return an element; what it has as a property is set, `on...` is listened to, the rest becomes an attribute. */
export function el(tag, properties = {}, ...children) {
  const element = SVG.has(tag)
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && element instanceof HTMLElement) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make something anew below an element; who has the focus in it keeps it, in the same row where there are rows. */
export function keepFocus(root, render) {
  const held = root.contains(document.activeElement) ? document.activeElement : null;
  const path = [];
  let anchor = held;
  while (anchor && anchor !== root && !anchor.id) {
    path.unshift([...anchor.parentElement.children].indexOf(anchor));
    anchor = anchor.parentElement;
  }
  render();
  if (!held || held.isConnected) return;
  const start = anchor === root ? root : document.getElementById(anchor.id);
  path.reduce((element, index) => element?.children[index], start)?.focus({ preventScroll: true });
}
