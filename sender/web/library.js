// The library: one large field, shelves by album, artist, folder and playlist, titles as rows; "plays on" chooses the
// line.

import { doing, say } from './actions.js';
import * as api from './api.js';
import { art } from './cover.js';
import { el, icon, keyed, refill, set, text, vars } from './dom.js';
import { linesOf } from './house.js';
import { queuePanel } from './queue.js';
import { correct, to } from './route.js';
import { NOTHING, SHELVES, shelf, thing } from './shelves.js';
import { store } from './store.js';
import * as words from './words.js';

/** Between the last letter and the question. */
const PAUSE_MS = 150;
/** Between two looks while the folders are read. */
const READING_MS = 2000;
/** What the drawing of a row is, and the name that its kind has in a queue. */
const ICONS = { artist: 'artist', folder: 'folder', playlist: 'queue' };
const PARTS = { album: 'albums', artist: 'artists', folder: 'folders', playlist: 'playlists' };

/** The view of the library, or of one thing in it. */
export function libraryView() {
  const input = el('input', { type: 'search', placeholder: 'Title, artist, album', autocomplete: 'off', enterkeyhint: 'search', 'aria-label': 'Search your music' });
  const on = el('span.chips', { role: 'radiogroup', 'aria-label': 'Plays on' });
  const playsOn = el('p.plays-on', {}, 'Plays on', on);
  const tabs = el('nav.shelves', { 'aria-label': 'Shelves' });
  const [one, albumsHead, titlesHead] = [el('div.album-head'), el('h2', {}, 'Albums'), el('h2', {}, 'Titles')];
  const [rows, albums, titles] = [el('ol.tracks.rows'), el('ol.albums'), el('ol.tracks')];
  const more = el('button.btn', { type: 'button', onclick: () => goOn() }, 'Show more');
  const count = el('p.count', { role: 'status' });
  const panel = queuePanel();
  const node = el('section.view.library-view', {}, el('h1.sr', {}, 'Library'), el('div.lib', {},
    el('section.results', { 'aria-label': 'Found' }, el('label.search', {}, icon('search'), input), playsOn, tabs, one, rows, albumsHead, albums, titlesHead, titles, more, count), panel.node));
  let line = '';
  let by = '';
  let found = NOTHING;
  let asked = 0;
  let timer = 0;
  let again = 0;

  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE_MS);
  });

  const wanted = () => input.value.trim();

  /** Looks at the shelf, or for the words on it; folders are found by what is in them. */
  async function look() {
    if (wanted() && (by === 'folders' || found.head)) by = '';
    correct('library', '', { ...(by ? { by } : {}), ...(wanted() ? { q: wanted() } : {}) });
    await show(shelf(by, wanted()));
  }

  async function goOn() {
    const { rows, albums } = found;
    const next = await shelf(by, wanted(), rows.length + albums.length).catch(() => null);
    if (!next || found.rows !== rows) return;
    found = { ...next, rows: [...rows, ...next.rows], albums: [...albums, ...next.albums] };
    store.changed();
  }

  async function show(asking) {
    const mine = ++asked;
    const answer = await asking.catch((refusal) => ({ ...NOTHING, said: refusal.status === 404 ? 'It is no longer in the library.' : refusal.message }));
    if (mine !== asked) return;
    found = answer;
    follow();
    store.changed();
  }

  /** While the folders are read: how far that is, and what has been found by now. */
  function follow() {
    clearTimeout(again);
    if (found.reading) again = setTimeout(grow, READING_MS);
  }

  async function grow() {
    // Another view is shown, which asks anew when this one is opened.
    if (!node.isConnected) return;
    const { rows, albums } = found;
    const mine = asked;
    const next = await shelf(by, wanted()).catch(() => found);
    if (mine !== asked) return;
    // What "Show more" has brought stays.
    const longer = rows.length > next.rows.length || albums.length > next.albums.length;
    found = longer ? { ...found, said: next.said, reading: next.reading } : next;
    follow();
    store.changed();
  }

  /** Puts something into the queue of the chosen line. */
  async function put(parts, name, when) {
    const made = await doing(api.enqueue(line, { ...parts, when }));
    if (made && when !== 'now') say(when === 'next' ? `${name} plays next.` : `${name} is in the queue.`);
    panel.reload();
    store.changed();
  }

  function buttons(parts, name) {
    const button = (kind, label, when, drawing) => el(kind, { type: 'button', 'aria-label': label, onclick: () => put(parts, name, when) }, icon(drawing));
    return el('span.buttons', {},
      button('button.rb', `Play ${name} now`, 'now', 'play'),
      button('button.rb.after', `Play ${name} next`, 'next', 'queue'),
      button('button.rb', `Add ${name} to the queue`, 'end', 'plus'));
  }

  /** An artist, a folder or a playlist. */
  function row({ kind, id, name }) {
    const [link, about] = [el('a', { href: to('library', id, { of: kind }) }), el('p')];
    return {
      node: el('li', {}, icon(ICONS[kind]), el('div', {}, el('h3', {}, link), about), buttons({ [PARTS[kind]]: [id] }, name)),
      update({ name, about: said }) {
        refill(link, name + input.value, ...marked(name, input.value));
        text(about, said);
      },
    };
  }

  function tile({ id, title }) {
    const picture = art(150);
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

  function piece(track) {
    const picture = art(44);
    const [title, who, time] = [el('h3'), el('p'), el('span.t')];
    picture.node.classList.add('thumb');
    return {
      node: el('li', {}, picture.node, el('div', {}, title, who), time, buttons({ tracks: [track.id] }, track.title)),
      update(track) {
        picture.show(track.artwork, `${track.album}/${track.artist}`);
        refill(title, track.title + input.value, ...marked(track.title ?? track.file, input.value));
        const from = [track.artist, found.head?.kind === 'album' ? null : track.album].filter(Boolean).join(', ');
        refill(who, from + input.value, ...marked(from, input.value));
        text(time, track.duration_s ? words.time(track.duration_s) : '');
      },
    };
  }

  function head({ kind, id, name, about, artwork, piece, back }) {
    const picture = art(160);
    if (piece) picture.show(artwork, piece);
    return [
      el('a.backlink', { href: back.href }, icon('back'), back.name),
      el('div.album-card', {}, piece ? picture.node : null,
        el('div', {}, el('h2.title', {}, name), el('p', {}, about), buttons({ [PARTS[kind]]: [id] }, name))),
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

  function tab([shelf, name]) {
    const node = el('a.chip.bare', { href: to('library', '', shelf ? { by: shelf } : {}) }, name);
    return { node, update: () => set(node, { 'aria-current': shelf === by && !found.head ? 'page' : null }) };
  }

  function choose(id) {
    line = id;
    store.touch(id);
    panel.show(id);
  }

  return {
    node,
    title: () => found.head?.name ?? 'Library',
    open({ id, query }) {
      by = query.get('by') ?? '';
      input.value = id ? '' : (query.get('q') ?? '');
      if (id) return show(thing(query.get('of') ?? 'album', id));
      found = { ...found, head: null };
      look();
      if (!by) input.focus({ preventScroll: true });
    },
    update() {
      const lines = store.house ? linesOf(store.house).filter(({ stream }) => stream.kind === 'library') : [];
      if (!lines.some(({ stream }) => stream.id === line) && lines.length) choose(lines.some(({ stream }) => stream.id === store.touched) ? store.touched : lines[0].stream.id);
      keyed(on, lines, ({ stream }) => stream.id, choice);
      playsOn.hidden = !lines.length;
      keyed(tabs, SHELVES, ([shelf]) => shelf, tab);
      refill(one, found.head ? `${found.head.kind}/${found.head.id}` : '', ...(found.head ? head(found.head) : []));
      albumsHead.hidden = !found.albums.length;
      titlesHead.hidden = !found.titles.length;
      keyed(rows, found.rows, ({ kind, id }) => `${kind}/${id}`, row);
      keyed(albums, found.albums, ({ id }) => id, tile);
      keyed(titles, found.titles, ({ id, key }) => key ?? id, piece);
      more.hidden = !found.more;
      text(count, found.said);
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
