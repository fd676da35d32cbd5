// Covers: the art found in the files, or a drawing of our own in the line's colour, the same for the same piece.

import { el, svg } from './dom.js';

/** Addresses that turned out to hold no picture. */
const empty = new Set();

/**
 * A cover that is shown `size` pixels wide. `show(address, piece)` shows the picture at an address or, when there is
 * none, a drawing for the piece.
 */
export function art(size) {
  const node = el('span.art', { 'aria-hidden': 'true' });
  let shown;
  return {
    node,
    show(address, piece) {
      const key = `${address}/${piece}`;
      if (key === shown) return;
      shown = key;
      if (!address || empty.has(address)) return node.replaceChildren(drawn(piece));
      const pixels = Math.ceil(size * devicePixelRatio);
      const image = el('img', { src: `${address}${address.includes('?') ? '&' : '?'}size=${pixels}`, alt: '', decoding: 'async', loading: 'lazy' });
      image.addEventListener('error', () => {
        empty.add(address);
        if (shown === key) node.replaceChildren(drawn(piece));
      });
      node.replaceChildren(image);
    },
  };
}

/** The cover of what a line plays. */
export function cover(size = 56) {
  const { node, show } = art(size);
  return {
    node,
    update({ id, name, playback: { artwork, title, album, artist } }) {
      show(artwork, title ? `${id}/${album ?? ''}/${artist ?? ''}/${title}` : `${id}/${name}`);
    },
  };
}

function drawn(piece) {
  const seed = hash(piece);
  const draw = [waves, discs, steps, moon, strings, signal][seed % 6];
  const random = dice(seed);
  return svg('svg', { viewBox: '0 0 56 56', class: `drawn ${seed & 64 ? 'wash' : 'deep'}` }, svg('path', { class: 'ground', d: 'M0 0h56v56H0z' }), ...draw(random));
}

/** Voices in canon. */
function waves(random) {
  const [depth, step] = [10 + random() * 8, 6 + random() * 4];
  const line = (y, opacity) => svg('path', { class: 'stroke', opacity, d: `M-4 ${y}c9-${depth} 15-${depth} 20 0s11 ${depth} 20 0 11-${depth} 24 0` });
  const sun = svg('circle', { class: 'sun', cx: 40 + random() * 6, cy: 10 + random() * 4, r: 5 });
  return [line(46, 1), line(46 - step, 0.65), line(46 - 2 * step, 0.35), sun];
}

/** Slow discs over a line. */
function discs(random) {
  const [y, fall] = [30 + random() * 6, 4 + random() * 4];
  const disc = (n, opacity) => svg('circle', { class: 'fill', opacity, cx: 15 + n * 13, cy: y - n * fall, r: 11 });
  return [disc(0, 1), disc(1, 0.6), disc(2, 0.3), svg('path', { class: 'stroke', d: 'M0 48h56' })];
}

/** Columns. */
function steps(random) {
  return [8, 17, 26, 35, 44].map((x) => {
    const top = 10 + random() * 26;
    return svg('path', { class: 'fill', opacity: 0.35 + random() * 0.65, d: `M${x} ${top}h6v${46 - top}h-6z` });
  });
}

/** A moon and its reflection. */
function moon(random) {
  const x = 20 + random() * 16;
  const ray = (y, wide) => svg('path', { class: 'stroke', d: `M${x - wide} ${y}h${2 * wide}` });
  return [svg('circle', { class: 'sun', cx: x, cy: 20, r: 11 }), ray(40, 19), ray(45, 12), ray(50, 6)];
}

/** Strings with beads on them. */
function strings(random) {
  const string = (y) => [
    svg('path', { class: 'stroke', opacity: 0.6, d: `M0 ${y}h56` }),
    svg('circle', { class: 'fill', cx: 8 + random() * 40, cy: y, r: 4.5 }),
  ];
  return [12, 23, 34, 45].flatMap(string);
}

/** Two channels. */
function signal(random) {
  const channel = (y, tall) => {
    let path = `M5 ${y}`;
    for (let x = 9; x <= 47; x += 4) path += `L${x} ${Math.round(y + (random() - 0.5) * tall)}`;
    return svg('path', { class: 'stroke', d: `${path}L51 ${y}` });
  };
  return [channel(20, 22), channel(39, 14)];
}

function hash(words) {
  let value = 2166136261;
  for (const letter of words) value = Math.imul(value ^ letter.codePointAt(0), 16777619);
  value = Math.imul(value ^ (value >>> 15), 0x2c1b3c6d);
  return (value ^ (value >>> 13)) >>> 0;
}

function dice(seed) {
  let state = seed || 1;
  return () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    return ((state ^ (state >>> 13)) >>> 0) / 4294967296;
  };
}
