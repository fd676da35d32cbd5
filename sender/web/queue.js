// A line: what plays, what follows, and the line itself.

import * as actions from './actions.js';
import { doing } from './actions.js';
import * as api from './api.js';
import { cover } from './cover.js';
import { el, icon, keyed, set, text, vars } from './dom.js';
import { linesOf } from './house.js';
import { seek, transport } from './player.js';
import { to } from './route.js';
import { store } from './store.js';
import * as words from './words.js';

/** A line's player and queue, as it stands beside the library or alone. */
export function queuePanel() {
  let id = null;
  let parts = null;
  let asked = '';
  const node = el('section.queue', { 'aria-label': 'What plays and what follows' });

  async function load(state) {
    asked = state;
    const tracks = await api.queue(id).catch(() => []);
    if (asked === state && parts) {
      parts.tracks = tracks;
      store.changed();
    }
  }

  async function change(request) {
    if (await doing(request)) asked = '';
    store.changed();
  }

  /** A piece that follows; what is in the queue can be moved, played and taken out. */
  function row({ track: { entry } }) {
    const [no, title, who, time] = [el('span.no'), el('h3'), el('p'), el('span.t')];
    const play = entry ? el('button.text', { type: 'button', onclick: () => change(api.playEntry(id, entry)) }) : title;
    const grip = el('button.rb.grip', { type: 'button' }, icon('grip'));
    const out = el('button.rb', { type: 'button', onclick: () => change(api.removeEntry(id, entry)) }, icon('cross'));
    const node = el('li', {}, no, el('div', {}, entry ? el('h3', {}, play) : title, who), time, ...(entry ? [out, grip] : []));
    let place = 0;
    const move = (to) => to !== place && to >= 0 && change(api.moveEntry(id, entry, to));
    grip.addEventListener('keydown', ({ key }) => move(place + ({ ArrowUp: -1, ArrowDown: 1 }[key] ?? 0)));
    liftable(grip, node, (to) => move(to));
    return {
      node,
      update({ track, at }) {
        place = at;
        text(no, String(at + 1));
        text(play, track.title ?? track.id);
        text(who, track.artist ?? '');
        text(time, track.duration_s ? words.time(track.duration_s) : '');
        set(play, { 'aria-label': entry ? `Play ${track.title} now` : null });
        set(grip, { 'aria-label': `Move ${track.title}: up and down arrows` });
        set(out, { 'aria-label': `Take ${track.title} out` });
        node.classList.toggle('supply', !entry);
      },
    };
  }

  function build() {
    const art = cover(360);
    const [name, title, who] = [el('span'), el('h3'), el('p')];
    const slider = seek(id);
    const [at, length] = [el('span'), el('span')];
    const buttons = transport(id, ['previous', 'pause', 'next']);
    const toggle = (name, label) => el('button.chip', { type: 'button', 'data-manner': name,
      onclick: () => change(api.changePlayer(id, { [name]: !store.stream(id).playback.queue?.[name] })) }, label);
    const manner = el('p.manner', {}, toggle('shuffle', 'Shuffle'), toggle('repeat', 'Repeat'));
    const then = el('ol.tracks');
    const next = el('h2', {}, 'Then');
    const power = el('button.btn', { type: 'button', onclick: () => actions.switchStream(store.stream(id), !store.stream(id).enabled) });
    const details = el('dl.facts-list');
    parts = { art, name, title, who, slider, at, length, buttons, manner, then, next, power, details, tracks: [] };
    node.replaceChildren(
      el('h2', {}, el('span.dot'), name), el('div.now-card', {}, art.node, el('div', {}, title, who)),
      el('div.big-seek', {}, slider.node, el('p', {}, at, length)), el('p.big-transport', {}, buttons.node), manner, next, then,
      el('h2', {}, 'This line'), details, el('p.ends', {}, power));
  }

  return {
    node,
    show(stream) {
      if (stream === id) return;
      id = stream;
      build();
      asked = '';
    },
    reload() {
      asked = '';
    },
    update() {
      const line = store.house && linesOf(store.house).find((line) => line.stream.id === id);
      node.hidden = !line;
      if (!line) return;
      const { stream, rooms, colour } = line;
      const said = words.stream(stream, rooms.length);
      const { position_s: position, duration_s: duration, title, album } = stream.playback;
      vars(node, { '--c': colour });
      parts.art.update(stream);
      text(parts.name, `${stream.name}, ${rooms.length === 1 ? 'one room' : `${words.number(rooms.length)} rooms`}`);
      text(parts.title, said.title);
      text(parts.who, [said.who, album].filter((part, at) => part && (at === 0 || part !== said.who)).join(', '));
      parts.slider.update(stream);
      text(parts.at, position == null ? '' : words.time(position));
      text(parts.length, duration ? words.time(duration) : '');
      parts.buttons.update(stream);
      text(parts.power, stream.enabled ? 'Switch this line off' : 'Switch this line on');
      parts.power.hidden = !stream.present && stream.enabled;
      const { queue } = stream.playback;
      const state = `${id}/${title}/${album}/${queue?.revision}`;
      if (state !== asked) load(state);
      parts.next.hidden = !parts.tracks.length;
      keyed(parts.then, parts.tracks.map((track, at) => ({ track, at })), ({ track, at }) => track.entry ?? `${at}/${track.id}`, row);
      parts.manner.hidden = !queue;
      for (const button of parts.manner.children) set(button, { 'aria-pressed': String(Boolean(queue?.[button.dataset.manner])) });
      keyed(parts.details, facts(stream), ([name]) => name, fact);
    },
  };
}

function facts(stream) {
  const from = stream.origin === 'here' ? 'this sender' : stream.sender;
  return [['Source', words.source(stream)], ['From', from], ['Format', words.format(stream.format)], ['Address', stream.address], ['Description', stream.sdp], ['Listen', stream.sdp]].filter(([, value]) => value);
}

/** What stands where a description leads to more than can be said in words. */
const links = {
  Description: (sdp) => [el('a', { href: sdp, download: '' }, 'for any RTP player')],
  Listen: (sdp) => {
    const as = (suffix) => el('a', { href: sdp.replace(/sdp$/, suffix), target: '_blank' }, suffix.toUpperCase());
    return ['here, as ', as('flac'), ' or ', as('wav'), ': not in step with the rooms'];
  },
};

function fact([name]) {
  const value = el('dd');
  return {
    node: el('div', {}, el('dt', {}, name), value),
    update([name, said]) {
      if (!links[name]) return text(value, said);
      if (!value.firstChild) value.append(...links[name](said));
    },
  };
}

/** Lets a row be dragged by its grip; `drop(place)` is called with the place among its siblings that it was let go at. */
function liftable(grip, row, drop) {
  grip.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    grip.setPointerCapture(event.pointerId);
    const rows = [...row.parentNode.children];
    const boxes = rows.map((row) => row.getBoundingClientRect());
    let over = -1;
    const move = ({ clientY }) => {
      row.classList.add('lifted');
      vars(row, { '--lift': `${clientY - event.clientY}px` });
      over = boxes.findIndex((box) => clientY < box.bottom);
      if (over < 0) over = rows.length - 1;
    };
    const end = (dropped) => {
      for (const [name, listener] of listeners) removeEventListener(name, listener, true);
      row.classList.remove('lifted');
      row.style.removeProperty('--lift');
      if (dropped && over >= 0) drop(over);
    };
    const listeners = [
      ['pointermove', move],
      ['pointerup', () => end(true)],
      ['pointercancel', () => end(false)],
      ['keydown', (key) => key.key === 'Escape' && end(false)],
    ];
    for (const [name, listener] of listeners) addEventListener(name, listener, true);
  });
}

/** The view of a line alone. */
export function queueView() {
  const panel = queuePanel();
  const choice = el('nav.lines-nav', { 'aria-label': 'Lines' });
  const node = el('section.view.queue-view', {}, el('h1.sr', {}, 'Queue'), el('a.backlink', { href: '#/' }, icon('back'), 'House'), choice, panel.node);
  let id = '';
  return {
    node,
    title: () => store.stream(id)?.name ?? 'Queue',
    open(at) {
      id = at.id || store.line()?.id || '';
      if (store.stream(id)) store.touched = id;
      panel.show(id);
      panel.reload();
    },
    update() {
      if (!id && store.line()) this.open({ id: '' });
      node.classList.toggle('away', store.link === 'away');
      const lines = store.house ? linesOf(store.house) : [];
      keyed(choice, lines, (line) => line.stream.id, chip).forEach((part) => part.show(id));
      panel.update();
    },
  };
}

function chip({ stream }) {
  const name = document.createTextNode('');
  const node = el('a.chip', { href: to('queue', stream.id) }, el('span.dot'), name);
  return {
    node,
    update({ stream, colour }) {
      vars(node, { '--c': colour });
      if (name.data !== stream.name) name.data = stream.name;
    },
    show(id) {
      set(node, { 'aria-current': id === stream.id ? 'page' : null });
    },
  };
}
