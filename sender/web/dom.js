// The little that is needed to build a page and keep it up to date in place: focus, drags and scroll positions stay.

const SVG = 'http://www.w3.org/2000/svg';

/** Makes an element: `el('button.rb', { onclick: go, 'aria-label': 'Next' }, icon('next'))`. */
export function el(spec, properties = {}, ...children) {
  const [tag, ...classes] = spec.split('.');
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(' ');
  set(node, properties);
  node.append(...children.filter((child) => child != null));
  return node;
}

/** Makes an SVG element. */
export function svg(tag, properties = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  set(node, properties);
  node.append(...children);
  return node;
}

/** A drawing of the page's own set. */
export function icon(name, kind = 'i') {
  return svg('svg', { class: kind, 'aria-hidden': 'true' }, svg('use', { href: `#i-${name}` }));
}

/** Sets what differs: `on...` listeners, `vars` custom properties, everything else attributes; null takes one away. */
export function set(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'vars') vars(node, value);
    else if (value == null || value === false) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value === true ? '' : value)) node.setAttribute(name, value === true ? '' : value);
  }
  return node;
}

/** Sets custom properties that differ; the page's rules allow no style attribute. */
export function vars(node, values) {
  for (const [name, value] of Object.entries(values)) {
    if (node.style.getPropertyValue(name) !== String(value)) node.style.setProperty(name, value);
  }
}

/** Sets the text, if it differs. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Switches classes. */
export function classes(node, states) {
  for (const [name, on] of Object.entries(states)) node.classList.toggle(name, Boolean(on));
}

/** Replaces all children, if `key` differs from the last one. */
export function refill(node, key, ...children) {
  if (node.dataset.key === String(key)) return;
  node.dataset.key = key;
  node.replaceChildren(...children.filter((child) => child != null));
}

const parts = new WeakMap();

/**
 * Keeps one part for each item, in their order. `make(item)` returns `{ node, update(item) }`; parts of items that are
 * gone are removed, the others stay the same nodes.
 */
export function keyed(parent, items, keyOf, make) {
  const old = parts.get(parent) ?? new Map();
  const now = new Map();
  let at = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const part = old.get(key) ?? make(item);
    now.set(key, part);
    old.delete(key);
    part.update(item);
    if (part.node === at) at = at.nextSibling;
    else parent.insertBefore(part.node, at);
  }
  for (const part of old.values()) {
    part.gone?.();
    part.node.remove();
  }
  parts.set(parent, now);
  return now;
}
