// What the library shows: a shelf (albums, artists, folders, playlists), what of it fits some words, or one thing that
// stands there. Each is asked for as
// `{ head, rows, albums, titles, said, more, reading }`: a head, what can be opened, covers, pieces, a sentence, whether
// the shelf goes on behind them, and whether the folders are being read.

import * as api from './api.js';
import { to } from './route.js';
import * as words from './words.js';

/** The shelves, by their names in the address and for people. */
export const SHELVES = [['', 'Albums'], ['artists', 'Artists'], ['folders', 'Folders'], ['playlists', 'Playlists']];

/** So much of a shelf is asked for at once. */
const PAGE = 200;
/** Albums beside the titles that were searched for. */
const FEW = 6;

/** Before anything is found. */
export const NOTHING = { head: null, rows: [], albums: [], titles: [], said: '', more: false, reading: false };

/** A shelf from `offset` on: all of it, or what fits the words. */
export async function shelf(by, wanted, offset = 0) {
  const [found, library] = await Promise.all([ask(by, wanted, offset), api.library()]);
  return { ...NOTHING, ...found, said: counted(by, wanted, offset, found, library), reading: Boolean(library.scan?.running) };
}

async function ask(by, wanted, offset) {
  switch (by) {
    case 'artists': {
      const list = await api.artists(wanted, PAGE, offset);
      return { rows: list.map(artist), more: list.length === PAGE };
    }
    case 'folders':
      return { rows: (await api.folders()).map(folder) };
    case 'playlists': {
      const list = await api.playlists(wanted, PAGE, offset);
      return { rows: list.map(playlist), more: list.length === PAGE };
    }
    default: {
      if (wanted) {
        const [albums, titles] = await Promise.all([api.albums(wanted, FEW, 0), api.search(wanted)]);
        return { albums, titles };
      }
      const albums = await api.albums('', PAGE, offset);
      return { albums, more: albums.length === PAGE };
    }
  }
}

/** One album, artist, folder or playlist with all that is in it. */
export async function thing(kind, id) {
  switch (kind) {
    case 'artist': {
      const { album_list: albums, list, ...about } = await api.artist(id);
      const back = { name: 'Artists', href: to('library', '', { by: 'artists' }) };
      return { ...NOTHING, head: { ...artist(about), back }, albums, titles: list };
    }
    case 'folder': {
      const { folder_list: folders, playlists, list, parent, ...about } = await api.folder(id);
      const back = parent ? { name: 'One up', href: to('library', parent, { of: 'folder' }) } : { name: 'Folders', href: to('library', '', { by: 'folders' }) };
      return { ...NOTHING, head: { ...folder(about), back }, rows: [...folders.map(folder), ...playlists.map(playlist)], titles: list };
    }
    case 'playlist': {
      const { list, missing, ...about } = await api.playlist(id);
      const back = { name: 'Playlists', href: to('library', '', { by: 'playlists' }) };
      // The same piece may be in it twice.
      const titles = list.map((track, at) => ({ ...track, key: `${at}/${track.id}` }));
      const said = missing ? `${words.capital(words.number(missing))} of its entries ${missing === 1 ? 'is' : 'are'} not in the library.` : '';
      return { ...NOTHING, head: { ...playlist(about), back }, titles, said };
    }
    default: {
      const { list, title, artist, year, duration_s: length, artwork } = await api.album(id);
      const about = [artist, year, words.time(length)].filter(Boolean).join(', ');
      const head = { kind: 'album', id, name: title, about, artwork, piece: `${title}/${artist}`, back: { name: 'Library', href: '#/library' } };
      return { ...NOTHING, head, titles: list };
    }
  }
}

const artist = ({ id, name, albums, tracks }) => ({ kind: 'artist', id, name, about: `${words.count(albums, 'album')}, ${words.count(tracks, 'title')}` });

function folder({ id, name, folders, tracks }) {
  const about = [folders && words.count(folders, 'folder'), tracks && words.count(tracks, 'title')].filter(Boolean).join(', ');
  return { kind: 'folder', id, name, about };
}

const playlist = ({ id, title, file }) => ({ kind: 'playlist', id, name: title, about: file });

const ONE = { artists: 'artist', folders: 'folder', playlists: 'playlist' };

/** What was found, and of how many. */
function counted(by, wanted, offset, found, { tracks, artists, folders, playlists, scan }) {
  if (scan?.running) return `The folders are being read: ${scan.read} pieces so far.`;
  if (!tracks && !playlists) return 'There is no music in the library yet.';
  if (by) {
    const all = { artists, folders, playlists }[by];
    if (wanted) return found.rows.length ? '' : `No ${ONE[by]} matches. Try fewer letters.`;
    if (!all) return by === 'playlists' ? 'M3U, PLS and XSPF files beside the music are shown here.' : '';
    return offset || found.more ? '' : `${words.count(all, ONE[by])}.`;
  }
  if (!wanted) return `${words.count(tracks, 'title')}.`;
  const titles = found.titles.length;
  return titles ? `${titles}${titles === 100 ? ' or more' : ''} of ${tracks.toLocaleString('en')} titles match.` : 'Nothing matches. Try fewer letters.';
}
