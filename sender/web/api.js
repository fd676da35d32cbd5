// The hub's HTTP API.

/** What the hub refuses, or that it doesn't answer (`status` 0); `message` is a sentence for people. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const options = { method, cache: 'no-store', headers: {} };
  if (body !== undefined) {
    options.headers['content-type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refusal(0, 'The sender does not answer. Nothing was changed.');
  }
  const json = (response.headers.get('content-type') ?? '').includes('json');
  const answer = json ? await response.json().catch(() => null) : null;
  if (response.ok) return answer;
  throw new Refusal(response.status, sentence(answer?.detail ?? `The sender answers ${response.status}`));
}

function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.?]$/.test(text) ? text : `${text}.`;
}

const id = encodeURIComponent;

export const session = () => ask('GET', '/api/v1/session');
export const signIn = (secret) => ask('POST', '/api/v1/session', secret);
export const signOut = () => ask('DELETE', '/api/v1/session');
export const setPassword = (password) => ask('PUT', '/api/v1/password', { password });
export const newLink = () => ask('POST', '/api/v1/sign-in-link');

export const patch = (room, stream) => ask('PUT', `/api/v1/subscriptions/${id(room)}`, { stream });
export const patchEverywhere = (stream) => ask('PUT', '/api/v1/subscriptions', { stream });

export const changeRoom = (room, change) => ask('PATCH', `/api/v1/rooms/${id(room)}`, change);
export const forgetRoom = (room) => ask('DELETE', `/api/v1/rooms/${id(room)}`);
export const admit = (room) => ask('POST', `/api/v1/rooms/${id(room)}/admit`);
export const chirp = (room) => ask('POST', `/api/v1/rooms/${id(room)}/identify`);
export const history = (room) => ask('GET', `/api/v1/rooms/${id(room)}/history`);

export const changeStream = (stream, change) => ask('PATCH', `/api/v1/streams/${id(stream)}`, change);
export const act = (stream, action) => ask('POST', `/api/v1/streams/${id(stream)}/playback`, action);
export const changePlayer = (stream, change) => ask('PATCH', `/api/v1/streams/${id(stream)}/player`, change);

export const queue = (stream) => ask('GET', `/api/v1/streams/${id(stream)}/queue`);
export const enqueue = (stream, parts) => ask('POST', `/api/v1/streams/${id(stream)}/queue`, parts);
export const clearQueue = (stream) => ask('DELETE', `/api/v1/streams/${id(stream)}/queue`);
export const moveEntry = (stream, entry, to) => ask('PATCH', `/api/v1/streams/${id(stream)}/queue/${id(entry)}`, { to });
export const removeEntry = (stream, entry) => ask('DELETE', `/api/v1/streams/${id(stream)}/queue/${id(entry)}`);
export const playEntry = (stream, entry) => ask('POST', `/api/v1/streams/${id(stream)}/queue/${id(entry)}/play`);

export const library = () => ask('GET', '/api/v1/library');
export const search = (words) => ask('GET', `/api/v1/library/search?q=${id(words)}&limit=100`);
export const albums = (words, limit, offset) => ask('GET', `/api/v1/library/albums?q=${id(words)}&limit=${limit}&offset=${offset}`);
export const album = (album) => ask('GET', `/api/v1/library/albums/${id(album)}`);
export const artists = (words, limit, offset) => ask('GET', `/api/v1/library/artists?q=${id(words)}&limit=${limit}&offset=${offset}`);
export const artist = (artist) => ask('GET', `/api/v1/library/artists/${id(artist)}`);
export const folders = () => ask('GET', '/api/v1/library/folders');
export const folder = (folder) => ask('GET', `/api/v1/library/folders/${id(folder)}`);
export const playlists = (words, limit, offset) => ask('GET', `/api/v1/library/playlists?q=${id(words)}&limit=${limit}&offset=${offset}`);
export const playlist = (playlist) => ask('GET', `/api/v1/library/playlists/${id(playlist)}`);

export const formGroup = (name, rooms) => ask('POST', '/api/v1/groups', { name, rooms });
export const changeGroup = (group, change) => ask('PATCH', `/api/v1/groups/${id(group)}`, change);
export const dissolveGroup = (group) => ask('DELETE', `/api/v1/groups/${id(group)}`);

export const keepScene = (name) => ask('POST', '/api/v1/scenes', { name });
export const rewriteScene = (scene, name) => ask('PUT', `/api/v1/scenes/${id(scene)}`, { name });
export const recallScene = (scene) => ask('POST', `/api/v1/scenes/${id(scene)}/recall`);
export const forgetScene = (scene) => ask('DELETE', `/api/v1/scenes/${id(scene)}`);
