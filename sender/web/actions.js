// What a hand on the page does: shown at once, sent to the hub, taken back with a sentence if it refuses.

import * as api from './api.js';
import { go, here } from './route.js';
import { store } from './store.js';

/** Says a sentence at the foot of the page, and to readers. */
export function say(sentence) {
  dispatchEvent(new CustomEvent('say', { detail: sentence }));
}

/** Carries out a change; `expected` shows it meanwhile. Resolves to whether it was made, and tells when not. */
export async function doing(request, expected = (house) => house) {
  try {
    await store.expect(expected, request);
    return true;
  } catch (refusal) {
    if (refusal.status === 401) {
      go('sign-in', '', { back: location.hash });
    } else {
      say(refusal.message ?? String(refusal));
    }
    return false;
  }
}

const withRoom = (id, change) => (house) => ({
  ...house,
  rooms: house.rooms.map((room) => (room.id === id ? { ...room, ...change } : room)),
});

/** A room plays a line, or nothing; the rooms of its group follow. */
export function patch(room, stream) {
  store.touch(stream ?? store.touched);
  if (room.stream === stream) return;
  const group = store.house.groups.find((group) => group.rooms.includes(room.id));
  const moved = group ? group.rooms : [room.id];
  return doing(api.patch(room.id, stream), (house) => ({
    ...house,
    rooms: house.rooms.map((room) => (moved.includes(room.id) ? { ...room, stream, settled: false } : room)),
    scenes: house.scenes.map((scene) => ({ ...scene, current: false })),
  }));
}

/** Every room plays this line. */
export function everywhere(stream) {
  store.touch(stream);
  return doing(api.patchEverywhere(stream), (house) => ({
    ...house,
    rooms: house.rooms.map((room) =>
      room.presence === 'at_the_door' || room.stream === stream ? room : { ...room, stream, settled: false }),
  }));
}

/** Changes settings of a room. */
export function changeRoom(id, change) {
  return doing(api.changeRoom(id, change), withRoom(id, change));
}

/** Resolves when the hub says how things are, as it does each second and after each action. */
const word = () => new Promise((resolve) => {
  store.addEventListener('now', resolve, { once: true });
  setTimeout(resolve, 1500);
});

/** Play, pause, next, previous, seek; shown until the hub has said what came of it. */
export function act(stream, action) {
  store.touch(stream.id);
  const state = { play: 'playing', pause: 'paused' }[action.action];
  return doing(api.act(stream.id, action).then(word), (house) => ({
    ...house,
    streams: house.streams.map((other) => {
      if (other.id !== stream.id) return other;
      const playback = { ...other.playback };
      if (state) playback.state = state;
      if (action.action === 'seek') playback.position_s = action.position_s;
      return { ...other, playback };
    }),
  }));
}

/** Switches a line on or off. */
export function switchStream(stream, enabled) {
  return doing(api.changeStream(stream.id, { enabled }), (house) => ({
    ...house,
    streams: house.streams.map((other) => (other.id === stream.id ? { ...other, enabled } : other)),
  }));
}

/** Makes a room chirp. */
export async function chirp(room) {
  if (await doing(api.chirp(room.id))) say(`${room.name} chirps.`);
}

/** Whether a change would be taken; if not, goes to the sign-in. */
export function maySign() {
  if (!store.session || store.session.signed_in) return true;
  if (here().view !== 'sign-in') go('sign-in', '', { back: location.hash });
  return false;
}
