// The strings: one for each line, through the beads of its rooms. What is drawn is the measurement, a pixel for a
// microsecond; new offsets are reached in 240 ms.

import { keyed, set, svg, vars } from './dom.js';
import { STOP, bead, easeOut, stringPath } from './geometry.js';
import { isHeard } from './words.js';

const MOVE_MS = 240;
/** Height of a string's drawing on a desktop and its width on a phone, in pixels. */
const TALL = 76;
const WIDE = 42;
/** Where a string begins on a phone, below its cover. */
const PHONE_START = 46;

export const phone = matchMedia('(max-width: 760px)');
const still = matchMedia('(prefers-reduced-motion: reduce)');

/** The strings in `node`; `place(room, wide, narrow)` moves a room's bead, early being positive. */
export function lines(node, place) {
  const shown = new Map();
  let drawing = null;
  let frame = 0;

  function update(streams, rooms, turn) {
    const parts = keyed(node, streams, (stream) => stream.id, line);
    const from = new Map(shown);
    const target = new Map(rooms.map((room) => [room.id, isHeard(room) ? -room.health.offset_us : 0]));
    for (const id of shown.keys()) if (!target.has(id)) shown.delete(id);
    drawing = { parts, rooms, streams, turn };
    cancelAnimationFrame(frame);
    const begin = performance.now();
    const moves = !still.matches && rooms.some((room) => Math.abs((from.get(room.id) ?? 0) - target.get(room.id)) > 0.2);
    const step = (now) => {
      const way = moves ? easeOut((now - begin) / MOVE_MS) : 1;
      for (const room of rooms) {
        const [a, b] = [from.get(room.id) ?? target.get(room.id), target.get(room.id)];
        // Far ones are held at the stop, so that a bead never takes a long way at once.
        const [near, goal] = [held(a), held(b)];
        shown.set(room.id, near + (goal - near) * way);
      }
      draw();
      if (way < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  }

  function draw() {
    const { parts, rooms, streams, turn } = drawing;
    for (const room of rooms) {
      const early = shown.get(room.id);
      place(room, bead(-early).early, bead(-early, STOP.narrow).early);
    }
    for (const stream of streams) {
      const stop = phone.matches ? STOP.narrow : STOP.wide;
      const early = rooms.map((room) => (room.stream === stream.id ? bead(-shown.get(room.id), stop).early : null));
      parts.get(stream.id).draw(early, turn);
    }
  }

  phone.addEventListener('change', () => drawing && draw());
  return { update };
}

function held(early) {
  return Math.max(-STOP.wide, Math.min(STOP.wide, early));
}

/** One line: band, the clock's hairline, the string. */
function line() {
  const band = document.createElement('i');
  band.className = 'band';
  const [zeroH, pathH] = [svg('path', { class: 'zero' }), svg('path')];
  const [zeroV, pathV] = [svg('path', { class: 'zero' }), svg('path')];
  const across = svg('svg', { class: 'string h', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, zeroH, pathH);
  const down = svg('svg', { class: 'string v', 'aria-hidden': 'true' }, zeroV, pathV);
  const node = document.createElement('div');
  node.className = 'span';
  node.append(band, across, down);
  return {
    node,
    update({ index, colour, idle }) {
      vars(node, { '--s': index, '--c': colour });
      node.classList.toggle('idle', idle);
    },
    draw(early, turn) {
      const width = Math.max(1, early.length) * 100;
      if (phone.matches) {
        set(down, { viewBox: `0 0 ${WIDE} ${turn.total}`, height: turn.total });
        set(zeroV, { d: `M${WIDE / 2} ${PHONE_START}V${turn.total}` });
        set(pathV, { d: stringPath(turn.middles, early, WIDE / 2, { turned: true, from: PHONE_START }) });
      } else {
        set(across, { viewBox: `0 0 ${width} ${TALL}` });
        set(zeroH, { d: `M0 ${TALL / 2}H${width}` });
        set(pathH, { d: stringPath(early.map((_, at) => at * 100 + 50), early, TALL / 2) });
      }
    },
  };
}
