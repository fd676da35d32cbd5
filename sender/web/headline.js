// The truth of the house in one sentence, and what to do about what is wrong.

import { el, keyed, refill, set, text } from './dom.js';
import { to } from './route.js';
import * as words from './words.js';

/** The headline, and the quiet region that reads it out when it changes; figures alone are not read out. */
export function headline() {
  const title = document.createTextNode('');
  const figure = el('span.num');
  const h1 = el('h1', {}, title, figure);
  const said = el('span');
  const caliper = el('span.caliper');
  const sub = el('p', {}, said, caliper);
  const list = el('ul.troubles', { 'aria-label': 'What to do' });
  const node = el('header.state', {}, el('div.truth', {}, h1, sub), list);
  const spoken = el('p.sr', { role: 'status' });
  return {
    node,
    spoken,
    update(house, { away, trouble }) {
      const line = words.headline(house, { away, trouble });
      const first = line.figure ? `${line.title}, within ` : line.title;
      if (title.data !== first) title.data = first;
      text(figure, line.figure ?? '');
      text(said, line.text);
      text(spoken, `${line.title}.`);
      set(node, { 'data-state': line.state });
      caliper.hidden = !line.caliper;
      if (line.caliper) {
        caliper.style.width = `${line.caliper}mm`;
        set(caliper, { title: `${words.distance(line.caliper / 0.343)}, about life-size` });
      }
      list.hidden = line.state !== 'wrong';
      keyed(list, list.hidden ? [] : trouble.slice(0, 2), ({ kind }) => kind, advice);
      document.title = `${line.title}${line.figure ? `, within ${line.figure}` : ''} · Unisono`;
    },
  };
}

function advice() {
  const said = el('p');
  const closer = el('a.btn.bare', {}, 'Look closer');
  return {
    node: el('li', {}, said, closer),
    update({ rooms, stream, names, what, help }) {
      refill(said, `${names}/${what}/${help}`, el('b', {}, names), ` ${what} ${help}`);
      set(closer, {
        href: rooms.length ? to('room', rooms[0].id) : to('queue', stream.id),
        'aria-label': `Look closer at ${rooms[0]?.name ?? stream.name}`,
      });
    },
  };
}
