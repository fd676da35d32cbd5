// Play, pause, next, previous, seek; and the phone's player, which shows the line touched last.

import * as actions from './actions.js';
import { cover } from './cover.js';
import { classes, el, icon, refill, set, text, vars } from './dom.js';
import { to } from './route.js';
import { store } from './store.js';
import * as words from './words.js';

/** Buttons for what a line's source can do; `pause` is play and pause in one. */
export function transport(id, which) {
  const stream = () => store.stream(id);
  // What a button says is what it does, whatever the hub has said since.
  const does = (event) => actions.act(stream(), { action: event.currentTarget.dataset.act });
  const buttons = which.map((name) => el('button.rb', { type: 'button', onclick: does, 'data-does': name, 'data-act': name }));
  const node = el('span.buttons', {}, ...buttons);
  return {
    node,
    update(stream) {
      for (const button of buttons) {
        const name = button.dataset.does;
        const can = stream.playback.can;
        button.hidden = !can.includes(name);
        const shown = name === 'pause' ? (resting(stream) ? 'play' : 'pause') : { next: 'next', previous: 'prev' }[name];
        refill(button, shown, icon(shown));
        const verb = { play: 'Play', pause: 'Pause', next: 'Next on', prev: 'Previous on' }[shown];
        set(button, { 'aria-label': `${verb} ${stream.name}`, 'data-act': name === 'pause' ? shown : name });
      }
    },
  };
}

function resting(stream) {
  return stream.playback.state === 'paused';
}

/** Where in the piece: a range where the source can seek, else a still line. */
export function seek(id) {
  const input = el('input', { type: 'range', min: 0, step: 1 });
  const node = el('span.seek', {}, input);
  let held = false;
  input.addEventListener('input', () => {
    held = true;
    vars(node, { '--f': input.value / (input.max || 1) });
  });
  input.addEventListener('change', () => {
    held = false;
    actions.act(store.stream(id), { action: 'seek', position_s: Number(input.value) });
  });
  return {
    node,
    input,
    update(stream) {
      const { position_s: position, duration_s: duration, can, title } = stream.playback;
      node.hidden = position == null || !duration;
      if (node.hidden) return;
      const able = can.includes('seek');
      input.hidden = !able;
      set(input, { max: Math.ceil(duration), 'aria-label': `Position in ${title ?? stream.name}`, 'aria-valuetext': `${words.time(position)} of ${words.time(duration)}` });
      if (held) return;
      input.value = Math.floor(position);
      vars(node, { '--f': Math.min(1, position / duration).toFixed(4) });
    },
  };
}

/** The bar above a phone's tabs. */
export function player(node) {
  let id = null;
  let parts = null;
  return {
    update() {
      const stream = store.line();
      node.hidden = !stream;
      if (!stream) return;
      if (stream.id !== id) {
        id = stream.id;
        const art = cover();
        const [title, where] = [el('p.title'), el('p')];
        const buttons = transport(id, ['pause', 'next']);
        const bar = el('span.progress');
        const open = el('a.cover', { href: to('queue', id) }, art.node);
        parts = { art, title, where, buttons, bar, open };
        node.replaceChildren(open, el('div.what', {}, title, where), buttons.node, bar);
      }
      const rooms = store.house.rooms.filter((room) => room.stream === id && room.presence !== 'at_the_door').length;
      const at = store.house.streams.indexOf(stream);
      vars(node, { '--c': `var(--s${(at % 5) + 1})` });
      set(node, { 'aria-label': `Player: ${stream.name}` });
      set(parts.open, { 'aria-label': `Open ${stream.name}` });
      parts.art.update(stream);
      text(parts.title, stream.playback.title ?? stream.name);
      text(parts.where, `${stream.name}, ${rooms ? `${rooms} room${rooms === 1 ? '' : 's'}` : 'no room'}`);
      parts.buttons.update(stream);
      const { position_s: position, duration_s: duration } = stream.playback;
      vars(parts.bar, { '--f': position != null && duration ? Math.min(1, position / duration).toFixed(4) : 0 });
      classes(node, { off: !stream.enabled });
    },
  };
}
