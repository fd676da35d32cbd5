// Every view has an address behind the #, so that Back works and a view can be a bookmark:
// #/ house, #/room/ID, #/queue/STREAM, #/library?by=SHELF&q=WORDS, #/library/ID?of=KIND, #/group/ID, #/door, #/sign-in.

/** Where we are: `{ view, id, query }`. */
export function here() {
  const [path, query = ''] = location.hash.slice(1).split('?');
  const [, view = '', id = ''] = path.split('/');
  const known = ['room', 'queue', 'library', 'group', 'door', 'sign-in'].includes(view);
  return { view: known ? view : 'house', id: decode(id), query: new URLSearchParams(query) };
}

/** The address of a view. */
export function to(view, id = '', query = {}) {
  if (view === 'house') return '#/';
  const words = new URLSearchParams(query).toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${words ? `?${words}` : ''}`;
}

/** Goes there. */
export function go(view, id, query) {
  location.hash = to(view, id, query);
}

/** Changes the address without a step for Back. */
export function correct(view, id, query) {
  history.replaceState(history.state, '', to(view, id, query));
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
