// A fader: a native range whose travel is linear to the ear, with our drawing below it.

import { stepped, toDb, toTravel } from './curve.js';
import { el, set, text, vars } from './dom.js';
import * as words from './words.js';

/** Between two changes that are sent while a thumb moves: 20 a second. */
const PACE_MS = 50;
/** So long after the last change was made, the hub's word moves the knob again. */
const SETTLE_MS = 400;

/**
 * `change(db)` sends a level and resolves when it is made. `update({ label, db, maxDb, valueNode, silent })` follows
 * the hub, but not while a hand is on the knob.
 */
export function fader(change, { flat = false, ceiling = false } = {}) {
  const name = el('span.sr');
  const input = el('input', { type: 'range', min: 0, max: 1000, step: 1 });
  const end = el('i.fader-max');
  const node = el(flat ? 'label.fader.flat' : 'label.fader', {}, name, input, end, el('i.fader-fill'), el('i.fader-cap'));
  const level = el('output.val');
  const send = paced(change);
  let now = { db: 0, maxDb: 0 };
  let held = false;

  const draw = (db) => {
    const limit = ceiling ? 0 : now.maxDb;
    vars(node, { '--v': toTravel(db), '--max': toTravel(limit) });
    set(input, { 'aria-valuetext': ceiling ? words.level(db) : words.faderLevel(db, limit) });
    const travel = String(Math.round(toTravel(db) * 1000));
    if (input.value !== travel) input.value = travel;
    text(level, now.muted && !held ? 'muted' : words.level(db));
  };
  const move = (db) => {
    const limit = ceiling ? 0 : now.maxDb;
    now.db = Math.min(db, limit);
    draw(now.db);
    send(now.db);
  };
  input.addEventListener('input', () => move(toDb(input.value / 1000)));
  input.addEventListener('pointerdown', () => (held = true));
  for (const over of ['pointerup', 'pointercancel', 'change']) {
    input.addEventListener(over, () => {
      held = false;
      draw(now.db);
    });
  }
  input.addEventListener('keydown', (event) => {
    const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 6, PageDown: -6 }[event.key];
    if (!by) return;
    event.preventDefault();
    move(stepped(now.db, by, ceiling ? 0 : now.maxDb));
  });
  return {
    node,
    level,
    input,
    update({ label, db, maxDb = 0, muted = false, marked = maxDb < 0 }) {
      text(name, label);
      set(end, { 'data-max': marked ? 'max' : null });
      now.muted = muted;
      now.maxDb = maxDb;
      if (!held && !send.busy()) now.db = db;
      draw(now.db);
    },
  };
}

/** Sends the latest value, one at a time and not too often, and always the last. */
export function paced(change) {
  let wanted;
  let running = false;
  let settled = 0;
  const run = async () => {
    running = true;
    while (wanted !== undefined) {
      const value = wanted;
      wanted = undefined;
      const pace = new Promise((resolve) => setTimeout(resolve, PACE_MS));
      await change(value);
      await pace;
    }
    settled = performance.now();
    running = false;
  };
  const send = (value) => {
    wanted = value;
    if (!running) run();
  };
  send.busy = () => running || performance.now() - settled < SETTLE_MS;
  return send;
}
