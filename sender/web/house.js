// The house: rows are lines, columns are rooms; a phone turns it by a quarter.

import * as actions from './actions.js';
import { cover } from './cover.js';
import { newRoom } from './door.js';
import { classes, el, icon, keyed, refill, set, text, vars } from './dom.js';
import { PHONE, arrange, quarterTurn } from './geometry.js';
import { bracket } from './group.js';
import { headline } from './headline.js';
import { lines as strings } from './lines.js';
import { seek, transport } from './player.js';
import { to } from './route.js';
import { scenes as chips } from './scenes.js';
import { store } from './store.js';
import { strip } from './strip.js';
import * as words from './words.js';

const COLOURS = 5;
const ICONS = { library: 'library', pipe: 'note', command: 'program', http: 'radio', demo: 'note', tone: 'chirp', capture: 'tv', rtp: 'plug', mix: 'mix' };

/** A line's colour: its place in order of creation. */
export function colour(index) {
  return `var(--s${((index - 1) % COLOURS) + 1})`;
}

/** The lines of a house with what the grid needs of them. */
export function linesOf(house) {
  return house.streams.map((stream, at) => ({
    stream,
    index: at + 1,
    colour: colour(at + 1),
    rooms: house.rooms.filter((room) => room.stream === stream.id && room.presence !== 'at_the_door'),
  }));
}

/** The view of the house. */
export function houseView() {
  const head = headline();
  const scenes = chips();
  const part = (name) => el(`div.${name}`);
  const [heads, lines, rooms, everywhere, spreads, brackets, doors] =
    ['heads', 'lines', 'rooms', 'everywhere', 'spreads', 'groups', 'doors'].map(part);
  const scale = el('p.scale', {}, ...['above the line: early', 'below: late', 'grey band: one sample, 20.8 µs each way', 'one pixel is one microsecond'].map((words) => el('span', {}, words)));
  const scaleTurned = el('p.scale-v', {}, 'Left early, right late,', el('br'), 'one pixel a microsecond');
  const title = el('h3', {}, 'Everywhere');
  const allRings = el('div.rings');
  everywhere.append(title, allRings);
  const console = el('section.console', { 'aria-label': 'Patch bay' }, el('h2.sr', {}, 'Patch bay'), scale, scaleTurned, heads, lines, rooms, everywhere, spreads, brackets, doors, scenes.node);
  const group = el('a', { href: to('group', 'new') }, 'Group rooms');
  const how = el('footer.how', {}, el('p', {}, 'Each room measures when its sound leaves the DAC and reports it every second. ', group, ' · ', el('a', { href: to('door') }, 'The door')));
  const node = el('section.view.house', { 'aria-label': 'House' }, head.node, head.spoken, console, how);

  let strips = new Map();
  const string = strings(lines, (room, wide, narrow) => strips.get(room.id)?.place(wide, narrow));

  return {
    node,
    title: () => 'House',
    update() {
      const house = store.house ?? { rooms: [], streams: [], groups: [], scenes: [] };
      const away = store.link === 'away' ? { since: store.heard || Date.now() / 1000 } : null;
      const trouble = away ? [] : words.troubles(house);
      head.update(store.house ?? (away ? null : house), { away, trouble });
      set(console, { inert: Boolean(away) });
      classes(node, { away, unknown: !house.rooms.length && !house.streams.length });

      const inside = house.rooms.filter((room) => room.presence !== 'at_the_door');
      const waiting = house.rooms.filter((room) => room.presence === 'at_the_door');
      const order = arrange(inside, house.groups);
      const turn = quarterTurn(order);
      const rows = linesOf(house);
      vars(console, {
        '--rooms': Math.max(1, inside.length),
        '--streams': Math.max(1, rows.length),
        '--door': waiting.map(() => 'var(--door-width)').join(' ') || ' ',
        '--turned': turn.heights.map((height) => `${height}px`).join(' '),
        '--group-head': `${PHONE.group}px`,
      });
      classes(console, { many: rows.length > 5, tight: inside.length > 8, hasdoor: waiting.length });

      keyed(heads, rows, (line) => line.stream.id, lineHead);
      const withColumn = order.rooms.map((room, at) => ({ room, column: at + 1, row: turn.roomRows[at], lines: rows, away }));
      strips = keyed(rooms, withColumn, ({ room }) => room.id, ({ room }) => strip(room));
      string.update(rows.map((line) => ({ ...line, id: line.stream.id, idle: !line.rooms.length })), order.rooms, turn);
      keyed(allRings, rows, (line) => line.stream.id, ring);
      keyed(spreads, rows, (line) => line.stream.id, spread);
      const withRow = order.brackets.map((bracket, at) => ({ ...bracket, row: turn.groupRows[at] }));
      keyed(brackets, withRow, ({ group }) => group.id, bracket);
      keyed(doors, waiting.map((room, at) => ({ room, column: inside.length + at + 1 })), ({ room }) => room.id, newRoom);
      scenes.update(house);
      everywhere.hidden = !inside.length;
      group.hidden = inside.length < 2;
    },
  };
}

/** The head of a line: what plays, and the controls that its source has. */
function lineHead({ stream }) {
  const id = stream.id;
  const art = cover();
  const link = el('a.cover', { href: to('queue', id) }, art.node);
  const [title, who, source, time] = [el('h3'), el('p.who'), el('span'), el('span.t')];
  const kind = el('span.kind');
  const slider = seek(id);
  const buttons = transport(id, ['pause', 'next']);
  const on = el('button.chip.switch', { type: 'button', onclick: () => actions.switchStream(store.stream(id), true) }, 'Switch on');
  const live = el('span.live', {}, 'live');
  const node = el('article.stream', {}, link,
    el('div.what', {}, title, who, el('p.src', {}, kind, source, time), slider.node),
    el('div.transport', {}, buttons.node, on, live));
  return {
    node,
    update({ stream, index, colour, rooms }) {
      const said = words.stream(stream, rooms.length);
      const playing = rooms.some(words.isHeard);
      vars(node, { '--s': index, '--c': colour });
      classes(node, { idle: !playing, off: !stream.enabled, absent: !stream.present });
      art.update(stream);
      set(link, { 'aria-label': `${stream.name}: ${said.title}`, title: stream.name });
      text(title, said.title);
      text(who, said.who);
      text(source, said.source);
      text(time, said.time);
      const drawing = stream.origin === 'heard' ? 'plug' : (ICONS[stream.kind] ?? 'note');
      refill(kind, drawing, icon(drawing));
      slider.update(stream);
      buttons.update(stream);
      on.hidden = stream.enabled;
      set(on, { 'aria-label': `Switch ${stream.name} on` });
      buttons.node.hidden = !stream.enabled;
      live.hidden = !stream.enabled || stream.playback.can.length > 0 || !stream.present;
    },
  };
}

/** One more room at the end of the line: everywhere. */
function ring({ stream }) {
  const id = stream.id;
  const node = el('button.x.all', { type: 'button', onclick: () => actions.everywhere(id) }, el('i'));
  return {
    node,
    update({ stream, index, colour }) {
      const inside = store.house.rooms.filter((room) => room.presence !== 'at_the_door');
      const all = inside.length > 0 && inside.every((room) => room.stream === id);
      vars(node, { '--s': index, '--cs': colour });
      classes(node, { full: all });
      set(node, { 'aria-label': `${stream.name} everywhere`, 'aria-pressed': String(all), title: `${stream.name} everywhere` });
    },
  };
}

/** The right end of a line: how far its rooms are apart. */
function spread() {
  const [figure, note] = [el('b'), document.createTextNode('')];
  const node = el('p.spread', {}, figure, note);
  return {
    node,
    update({ stream, index, rooms }) {
      const said = words.spread(stream, rooms);
      vars(node, { '--s': index });
      classes(node, { bad: said.bad });
      text(figure, said.figure);
      figure.hidden = !said.figure;
      if (note.data !== said.text) note.data = said.text;
      set(node, { title: rooms.length > 1 ? 'How far these rooms are apart, the worst of the last minute' : null });
    },
  };
}
