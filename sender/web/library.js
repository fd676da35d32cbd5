// The library: one large field, albums as covers, titles as rows; "plays on" chooses the line.

import { doing, say } from './actions.js';
import * as api from './api.js';
import { art } from './cover.js';
import { el, icon, keyed, refill, set, text, vars } from './dom.js';
import { linesOf } from './house.js';
import { queuePanel } from './queue.js';
import { correct, to } from './route.js';
import { store } from './store.js';
import * as words from './words.js';

/** Between the last letter and the question. */
const PAUSE_MS = 150;
/** Albums shown beside titles, and alone. */
const FEW = 6;
const MANY = 200;

/** The view of the library, or of one album. */
export function libraryView() {
  const input = el('input', { type: 'search', placeholder: 'Title, artist, album', autocomplete: 'off', enterkeyhint: 'search', 'aria-label': 'Search your music' });
  const on = el('span.chips', { role: 'radiogroup', 'aria-label': 'Plays on' });
  const playsOn = el('p.plays-on', {}, 'Plays on', on);
  const [one, albumsHead, titlesHead] = [el('div.album-head'), el('h2', {}, 'Albums'), el('h2', {}, 'Titles')];
  const [albums, titles] = [el('ol.albums'), el('ol.tracks')];
  const count = el('p.count', { role: 'status' });
  const panel = queuePanel();
  const node = el('section.view.library-view', {}, el('h1.sr', {}, 'Library'), el('div.lib', {},
    el('section.results', { 'aria-label': 'Found' }, el('label.search', {}, icon('search'), input), playsOn, one, albumsHead, albums, titlesHead, titles, count), panel.node));
  let line = '';
  let found = { albums: [], titles: [], said: '' };
  let album = null;
  let asked = 0;
  let timer = 0;

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });

  async function look() {
    const wanted = input.value.trim();
    correct('library', '', wanted ? { q: wanted } : {});
    await show(null, async () => {
      const [albums, titles, library] = await Promise.all([
        api.albums(wanted, wanted ? FEW : MANY), wanted ? api.search(wanted) : [], api.library()]);
      return { albums, titles, said: counted(wanted, titles.length, library) };
    });
  }

  const open = (id) => show(id, async () => {
    const { list, ...album } = await api.album(id);
    return { album, albums: [], titles: list, said: '' };
  });

  async function show(id, ask) {
    const mine = ++asked;
    const answer = await ask().catch((refusal) => ({ albums: [], titles: [], said: refusal.status === 404 ? 'There is no library here.' : refusal.message }));
    if (mine !== asked) return;
    found = answer;
    album = answer.album ?? null;
    store.changed();
  }

  /** Puts something into the queue of the chosen line. */
  async function put(parts, name, when) {
    const made = await doing(api.enqueue(line, { ...parts, when }));
    if (made && when === 'end') say(`${name} is in the queue.`);
    panel.reload();
    store.changed();
  }

  function buttons(parts, name) {
    const play = el('button.rb', { type: 'button', 'aria-label': `Play ${name} now`, onclick: () => put(parts, name, 'now') }, icon('play'));
    const add = el('button.rb', { type: 'button', 'aria-label': `Add ${name} to the queue`, onclick: () => put(parts, name, 'end') }, icon('plus'));
    return el('span.buttons', {}, play, add);
  }

  function tile({ id, title }) {
    const picture = art();
    const [name, who] = [el('h3'), el('p')];
    const link = el('a', { href: to('library', id) }, picture.node, name, who);
    return {
      node: el('li', {}, link, buttons({ albums: [id] }, title)),
      update({ title, artist, year, artwork }) {
        picture.show(artwork, `${title}/${artist}`);
        refill(name, title + input.value, ...marked(title, input.value));
        refill(who, `${artist}/${input.value}`, ...marked(artist ?? '', input.value), year ? ` ${year}` : '');
      },
    };
  }

  function row(track) {
    const picture = art();
    const [title, who, time] = [el('h3'), el('p'), el('span.t')];
    picture.node.classList.add('thumb');
    return {
      node: el('li', {}, picture.node, el('div', {}, title, who), time, buttons({ tracks: [track.id] }, track.title)),
      update(track) {
        picture.show(track.artwork, `${track.album}/${track.artist}`);
        refill(title, track.title + input.value, ...marked(track.title ?? track.file, input.value));
        const from = [track.artist, album ? null : track.album].filter(Boolean).join(', ');
        refill(who, from + input.value, ...marked(from, input.value));
        text(time, track.duration_s ? words.time(track.duration_s) : '');
      },
    };
  }

  function showAlbum() {
    refill(one, album?.id ?? '', ...(album ? head(album) : []));
  }

  function head({ id, title, artist, year, duration_s: length, artwork }) {
    const picture = art();
    picture.show(artwork, `${title}/${artist}`);
    return [
      el('a.backlink', { href: '#/library' }, icon('back'), 'Library'),
      el('div.album-card', {}, picture.node, el('div', {}, el('h2.title', {}, title),
        el('p', {}, [artist, year, words.time(length)].filter(Boolean).join(', ')), buttons({ albums: [id] }, title))),
    ];
  }

  function choice({ stream }) {
    const name = document.createTextNode('');
    const node = el('button.chip', { type: 'button', role: 'radio', onclick: () => choose(stream.id) }, el('span.dot'), name);
    return {
      node,
      update({ stream, colour, rooms }) {
        vars(node, { '--c': colour });
        name.data = `${stream.name}, ${rooms.length === 1 ? 'one room' : `${words.number(rooms.length)} rooms`}`;
        set(node, { 'aria-checked': String(stream.id === line) });
      },
    };
  }

  function choose(id) {
    line = id;
    store.touch(id);
    panel.show(id);
  }

  return {
    node,
    title: () => album?.title ?? 'Library',
    open({ id, query }) {
      input.value = id ? '' : (query.get('q') ?? '');
      if (id) open(id);
      else look();
      if (!id) input.focus({ preventScroll: true });
    },
    update() {
      const lines = store.house ? linesOf(store.house).filter(({ stream }) => stream.kind === 'library') : [];
      if (!lines.some(({ stream }) => stream.id === line) && lines.length) choose(lines.some(({ stream }) => stream.id === store.touched) ? store.touched : lines[0].stream.id);
      keyed(on, lines, ({ stream }) => stream.id, choice);
      playsOn.hidden = !lines.length;
      showAlbum();
      albumsHead.hidden = !found.albums.length;
      titlesHead.hidden = !found.titles.length;
      keyed(albums, found.albums, ({ id }) => id, tile);
      keyed(titles, found.titles, ({ id }) => id, row);
      text(count, found.said);
      panel.update();
    },
  };
}

/** What was found, and of how many. */
function counted(wanted, found, { tracks, scan }) {
  const all = (tracks ?? 0).toLocaleString('en');
  if (scan?.running) return `The folders are being read: ${scan.read} pieces so far.`;
  if (!wanted) return tracks ? `${all} titles.` : 'There is no music in the library yet.';
  return found ? `${found}${found === 100 ? ' or more' : ''} of ${all} titles match.` : 'Nothing matches. Try fewer letters.';
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
