// The library: one large field, results as rows; "plays on" chooses the line.

import * as api from './api.js';
import { drawn } from './cover.js';
import { el, icon, keyed, refill, text, vars } from './dom.js';
import { linesOf } from './house.js';
import { queuePanel } from './queue.js';
import { correct } from './route.js';
import { store } from './store.js';
import * as words from './words.js';

/** Between the last letter and the question. */
const PAUSE_MS = 150;

/** The view of the library. */
export function libraryView() {
  const input = el('input', { type: 'search', placeholder: 'Title, artist, album', autocomplete: 'off', enterkeyhint: 'search', 'aria-label': 'Search your music' });
  const on = el('span.chips', { role: 'radiogroup', 'aria-label': 'Plays on' });
  const heading = el('h2', {}, 'Titles');
  const results = el('ol.tracks');
  const count = el('p.count', { role: 'status' });
  const panel = queuePanel();
  const node = el('section.view.library-view', {}, el('h1.sr', {}, 'Library'), el('div.lib', {},
    el('section.results', {}, el('label.search', {}, icon('search'), input), el('p.plays-on', {}, 'Plays on', on), heading, results, count), panel.node));
  let line = '';
  let found = null;
  let timer = 0;

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });

  async function look() {
    const wanted = input.value.trim();
    correct('library', '', wanted ? { q: wanted } : {});
    const tracks = wanted ? await api.search(wanted).catch(() => null) : [];
    if (wanted !== input.value.trim()) return;
    found = wanted ? tracks : null;
    store.changed();
  }

  function choice({ stream }) {
    const name = document.createTextNode('');
    const node = el('button.chip', { type: 'button', role: 'radio', onclick: () => choose(stream.id) }, el('span.dot'), name);
    return {
      node,
      update({ stream, colour, rooms }) {
        vars(node, { '--c': colour });
        name.data = `${stream.name}, ${rooms.length === 1 ? 'one room' : `${words.number(rooms.length)} rooms`}`;
        node.setAttribute('aria-checked', String(stream.id === line));
      },
    };
  }

  function choose(id) {
    line = id;
    store.touch(id);
    panel.show(id);
  }

  function result() {
    const [art, title, who, time] = [el('span.thumb'), el('h4'), el('p'), el('span.t')];
    return {
      node: el('li', {}, art, el('div', {}, title, who), time),
      update(track) {
        refill(art, track.id, drawn(`${track.album}/${track.artist}`));
        refill(title, track.title + input.value, ...marked(track.title ?? track.id, input.value));
        refill(who, `${track.artist}/${track.album}/${input.value}`, ...marked([track.artist, track.album].filter(Boolean).join(', '), input.value));
        text(time, track.duration_s ? words.time(track.duration_s) : '');
      },
    };
  }

  return {
    node,
    title: () => 'Library',
    open({ query }) {
      input.value = query.get('q') ?? '';
      look();
      input.focus();
    },
    update() {
      const lines = store.house ? linesOf(store.house).filter(({ stream }) => stream.kind === 'library') : [];
      if (!lines.some(({ stream }) => stream.id === line) && lines.length) choose(lines.some(({ stream }) => stream.id === store.touched) ? store.touched : lines[0].stream.id);
      keyed(on, lines, ({ stream }) => stream.id, choice);
      on.parentNode.hidden = !lines.length;
      heading.hidden = !found?.length;
      keyed(results, found ?? [], (track) => track.id, result);
      const many = found?.length ?? 0;
      text(count, found == null ? '' : many ? `${many} ${many === 1 ? 'title matches' : 'titles match'}.` : 'Nothing matches. Try fewer letters.');
      panel.update();
    },
  };
}

/** The text with what was searched for underlined. */
function marked(words, query) {
  const wanted = query.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const lower = words.toLowerCase();
  const parts = [];
  let at = 0;
  while (at < words.length) {
    const hits = wanted.map((word) => ({ from: lower.indexOf(word, at), length: word.length })).filter(({ from }) => from >= 0);
    const hit = hits.sort((a, b) => a.from - b.from || b.length - a.length)[0];
    if (!hit) break;
    if (hit.from > at) parts.push(words.slice(at, hit.from));
    parts.push(el('mark', {}, words.slice(hit.from, hit.from + hit.length)));
    at = hit.from + hit.length;
  }
  parts.push(words.slice(at));
  return parts;
}
