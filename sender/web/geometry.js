// Where things are. Pure: no page, no clock.

/** Beyond this many pixels a bead stops and says its number, in either direction. */
export const STOP = { wide: 30, narrow: 15 };
/** One sample at 48 kHz, in microseconds. */
export const SAMPLE_US = 1e6 / 48000;

/** Heights on a phone, in pixels: covers, everywhere, head of a group, room. */
export const PHONE = { covers: 52, everywhere: 48, group: 76, room: 92 };

/**
 * The rooms in the order of their columns: those of a group stand together, groups by name, the others behind.
 * Returns `{ rooms, brackets: [{ group, first, span }] }`.
 */
export function arrange(rooms, groups) {
  const columns = [];
  const brackets = [];
  for (const group of groups) {
    const inside = rooms.filter((room) => group.rooms.includes(room.id));
    if (inside.length) brackets.push({ group, first: columns.length, span: inside.length });
    columns.push(...inside);
  }
  columns.push(...rooms.filter((room) => !columns.includes(room)));
  return { rooms: columns, brackets };
}

/**
 * The same turned by a quarter: the height of each grid row from the covers on, each room's row (counted from 1) and
 * the middle of its row in pixels below the top of the covers, and each bracket's row.
 */
export function quarterTurn({ rooms, brackets }) {
  const heights = [PHONE.covers, PHONE.everywhere];
  const roomRows = [];
  const middles = [];
  const groupRows = [];
  let top = PHONE.covers + PHONE.everywhere;
  rooms.forEach((_, at) => {
    if (brackets.some((bracket) => bracket.first === at)) {
      heights.push(PHONE.group);
      groupRows.push(heights.length);
      top += PHONE.group;
    }
    heights.push(PHONE.room);
    roomRows.push(heights.length);
    middles.push(top + PHONE.room / 2);
    top += PHONE.room;
  });
  return { heights, roomRows, middles, groupRows, total: top };
}

/** Where a bead sits, in pixels early of the line; `far` when it would be further. `offsetUs` counts late as positive. */
export function bead(offsetUs, stop = STOP.wide) {
  const early = -offsetUs;
  return { early: Math.max(-stop, Math.min(stop, early)), far: Math.abs(early) > STOP.wide };
}

/**
 * The string of a line. `along` are the beads' places along it, `early` how far each is off it, null where it doesn't
 * play: the string passes straight there and ends at the last bead. `middle` is the line, `turned` for a phone.
 */
export function stringPath(along, early, middle, { turned = false, from = 0 } = {}) {
  const last = early.findLastIndex((off) => off != null);
  if (last < 0) return '';
  const at = (a, b) => (turned ? `${round(b)} ${round(a)}` : `${round(a)} ${round(b)}`);
  let [a, b] = [from, middle];
  let path = `M${at(a, b)}`;
  for (let n = 0; n <= last; n++) {
    const [nextA, nextB] = [along[n], middle - (early[n] ?? 0)];
    const half = (a + nextA) / 2;
    path += `C${at(half, b)} ${at(half, nextB)} ${at(nextA, nextB)}`;
    [a, b] = [nextA, nextB];
  }
  return path;
}

/** The half height of a trace that shows all of these offsets, in microseconds: one sample, at least, and a margin. */
export function traceRange(offsets) {
  const most = offsets.reduce((most, offset) => (offset == null ? most : Math.max(most, Math.abs(offset))), 0);
  const steps = [25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 1e6];
  return steps.find((step) => most <= step) ?? 1e6;
}

/** The line of a trace: gaps where nothing was known. `samples` are `{ age, offset }`, the oldest first. */
export function tracePath(samples, { width, height, range, span }) {
  let path = '';
  let open = false;
  for (const { age, offset } of samples) {
    if (offset == null || age > span) {
      open = false;
      continue;
    }
    const x = width * (1 - age / span);
    const y = height / 2 + (offset / range) * (height / 2);
    path += `${open ? 'L' : 'M'}${round(x)} ${round(y)}`;
    open = true;
  }
  return path;
}

/** The value that this share of the magnitudes does not pass. */
export function quantile(offsets, share) {
  const sizes = offsets.filter((offset) => offset != null).map(Math.abs).sort((a, b) => a - b);
  if (!sizes.length) return null;
  return sizes[Math.min(sizes.length - 1, Math.ceil(share * sizes.length) - 1)] ?? sizes[0];
}

/** Which of `boxes` (`{ left, top, right, bottom }`) a point is in; -1 for none. */
export function boxAt(boxes, x, y) {
  return boxes.findIndex((box) => x >= box.left && x < box.right && y >= box.top && y < box.bottom);
}

/** Ease-out: fast at first. */
export function easeOut(t) {
  return 1 - (1 - Math.min(1, Math.max(0, t))) ** 3;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
