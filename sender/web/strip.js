// A room: its crossings with every line, its bead and wire, and its channel strip.

import * as actions from './actions.js';
import { classes, el, icon, keyed, refill, set, text, vars } from './dom.js';
import { draggable } from './drag.js';
import { fader } from './fader.js';
import { bead } from './geometry.js';
import { to } from './route.js';
import { store } from './store.js';
import * as words from './words.js';

const TRAVEL_MS = 180;
const still = matchMedia('(prefers-reduced-motion: reduce)');

/** A room's column on a desktop, its row on a phone. */
export function strip(first) {
  const id = first.id;
  const room = () => store.room(id) ?? first;
  const wire = el('i.wire', { 'aria-hidden': 'true' });
  const patch = el('div.patch', { role: 'radiogroup' });
  const volume = fader((db) => actions.changeRoom(id, { volume_db: db }));
  const name = el('a', { href: to('room', id) });
  const mute = el('button.rb.mute', { type: 'button', onclick: () => actions.changeRoom(id, { mute: !room().mute }) });
  const bold = el('b');
  const wide = el('span.wide');
  const narrow = el('span.narrow');
  const health = el('p.health', {}, bold, wide, narrow);
  const below = el('div.strip', {}, el('h3', {}, name), volume.node, volume.level, mute, health);
  const node = el('article.room', {}, wire, patch, below);
  let crossings = new Map();
  let was;

  draggable(patch, (crossing) => actions.patch(room(), crossing.dataset.stream));
  patch.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const all = [...patch.children];
    const at = all.indexOf(event.target);
    const next = { Home: all[0], End: all.at(-1) }[event.key] ?? (by && all[(at + by + all.length) % all.length]);
    if (!next || at < 0) return;
    event.preventDefault();
    next.focus();
  });

  return {
    node,
    place(early, narrowEarly) {
      vars(node, { '--us': early, '--un': narrowEarly });
    },
    update({ room, column, row, lines, away }) {
      const line = lines.find((line) => line.stream.id === room.stream);
      const is = words.condition(room);
      set(node, { 'data-is': is, 'aria-label': room.name });
      classes(node, { muted: room.mute, unsettled: is === 'locking' || is === 'off', unpatched: !line });
      vars(node, { '--r': column, '--pr': row, '--on': line?.index ?? 0, '--c': line?.colour ?? 'var(--ink-3)' });

      set(patch, { 'aria-label': `What plays in ${room.name}` });
      crossings = keyed(patch, lines, (line) => line.stream.id, (line) => crossing(line, id));
      for (const line of lines) crossings.get(line.stream.id).show(room, line, lines);
      travel(line, lines);

      text(name, room.name);
      const silent = room.mute || room.volume_db <= -60;
      volume.update({ label: `${room.name} volume`, db: room.volume_db, maxDb: room.max_db, muted: room.mute });
      refill(mute, silent, icon(silent ? 'mute' : 'sound'));
      set(mute, { 'aria-pressed': String(room.mute), 'aria-label': `Mute ${room.name}` });
      const says = words.health(room, { away });
      text(bold, says.bold);
      text(wide, says.wide);
      text(narrow, says.narrow);
      health.classList.toggle('bad', says.bad);
    },
  };

  /** A bead that is patched anew travels along its column. */
  function travel(line, lines) {
    const now = line?.stream.id;
    if (was && now && was !== now && crossings.has(was) && !still.matches) {
      const from = crossings.get(was).node.getBoundingClientRect();
      const to = crossings.get(now).node.getBoundingClientRect();
      const dot = crossings.get(now).node.firstChild;
      dot.animate({ translate: [`${from.x - to.x}px ${from.y - to.y}px`, '0px 0px'] }, { duration: TRAVEL_MS, easing: 'ease-out' });
    }
    was = now;
    void lines;
  }
}

/** Where a room crosses a line; a bead when it plays there. */
function crossing({ stream }, room) {
  const number = el('span.us');
  const patch = () => actions.patch(store.room(room), stream.id);
  const node = el('button.x', { type: 'button', role: 'radio', 'data-stream': stream.id, onclick: patch }, el('i'), number);
  return {
    node,
    update({ stream, index, colour }) {
      vars(node, { '--s': index, '--cs': colour });
      set(node, { title: stream.name });
    },
    show(room, { stream }, lines) {
      const on = room.stream === stream.id;
      const heard = on && words.isHeard(room);
      const far = heard && bead(room.health.offset_us).far;
      const lost = on && !heard;
      const missing = lost && ['gone', 'stale', 'no_card', 'starved'].includes(words.condition(room));
      classes(node, { on, far, lost, missing });
      let said = '';
      if (heard) said = far ? words.offset(room.health.offset_us) : words.signed(room.health.offset_us);
      else if (missing) said = 'not heard';
      text(number, said);
      number.classList.toggle('far', far || missing);
      const label = heard ? `${stream.name}, ${words.offset(room.health.offset_us)}` : missing ? `${stream.name}, not heard` : stream.name;
      const reached = on || (lines[0].stream.id === stream.id && !lines.some((line) => line.stream.id === room.stream));
      set(node, { 'aria-checked': String(on), 'aria-label': label, tabindex: reached ? 0 : -1 });
    },
  };
}
