// The API as a program sees it: every operation that is described is called, and answers as described.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { describedClient } from './client.mjs';
import { until } from './house.mjs';
import { PIECES, music } from './music.mjs';
import { amplitude, tail } from './sound.mjs';
import { BETA, ROOMS, becomes, tonesHouse } from './tones.mjs';

/** Nobody has this id. */
const NOBODY = 'nobody-there';

test('every operation has a name of its own, and says what it answers', async () => {
  const house = await tonesHouse({ rooms: [] });
  try {
    const client = await describedClient(house);
    const names = client.operations().map(({ operation }) => operation.operationId);
    assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
    for (const { method, path, operation } of client.operations()) {
      assert.ok(operation.summary, `${method} ${path} says nothing`);
      // Whoever may not, and whatever is not there, is answered with problem details.
      const wanted = Object.fromEntries((operation.parameters ?? []).filter((p) => p.required).map((p) => [p.name, NOBODY]));
      if (path.includes('{')) await client.call(method, path, { at: wanted, body: operation.requestBody && {} }).catch((error) => assert.fail(error));
    }
  } finally {
    await house.stop();
  }
});

test('a client made from the description runs the house, and calls all there is', async () => {
  const dir = music();
  const library = `id = "music"\nname = "Music"\nsource = { type = "library", path = "${dir}", shuffle = false }`;
  const house = await tonesHouse({ streams: [library], rooms: [], hub: 'auto_approve = "never"' });
  try {
    const client = await describedClient(house);
    const caller = new Caller(house, client);
    for (const part of [letIn, patch, levels, groupsAndScenes, lines, shelves, queue, announce, wrongs, door]) await part(caller);
    assert.deepEqual(client.unanswered(), []);
  } finally {
    await house.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Calls that must go well. */
class Caller {
  rooms = {};

  constructor(house, client) {
    this.house = house;
    this.client = client;
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      this[method.toLowerCase()] = async (path, at, body) => {
        const answer = await client.call(method, `/api/v1${path}`, { at, body });
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
        return answer.body;
      };
    }
  }
}

async function letIn({ house, rooms, get, post }) {
  for (const room of ROOMS) house.startRoom(room);
  const waiting = () => get('/rooms').then((all) => all.length === ROOMS.length && all.every(({ presence }) => presence === 'at_the_door') && all);
  for (const { id, name } of await until('rooms at the door', waiting)) {
    rooms[name] = id;
    await post('/rooms/{id}/admit', { id });
  }
  await house.settled(ROOMS.length);
}

async function patch({ house, rooms, get, put }) {
  await put('/subscriptions', {}, { stream: 'alpha' });
  assert.equal((await get('/rooms/{id}', { id: rooms.Kitchen })).stream, 'alpha');
  await put('/subscriptions/{room}', { room: rooms.Kitchen }, { stream: 'beta' });
  await becomes(house, 'Kitchen', 'beta', (room) => room.stream === 'beta');
  assert.deepEqual(await get('/subscriptions'), { [rooms.Bath]: 'alpha', [rooms.Kitchen]: 'beta', [rooms.Study]: 'alpha' });
}

async function levels({ house, rooms, get, post, patch }) {
  await patch('/rooms/{id}', { id: rooms.Study }, { volume_db: -30, mute: true });
  await becomes(house, 'Study', 'muted', (room) => room.mute && room.volume_db === -30);
  await post('/rooms/{id}/identify', { id: rooms.Study });
  assert.ok(Array.isArray((await get('/rooms/{id}/history', { id: rooms.Study })).t ?? []));
}

async function groupsAndScenes({ house, rooms, get, post, put, patch, delete: remove }) {
  const group = await post('/groups', {}, { name: 'Ground floor', rooms: [rooms.Bath, rooms.Kitchen] });
  await patch('/groups/{id}', group, { name: 'Below' });
  assert.deepEqual((await get('/groups')).map(({ name }) => name), ['Below']);
  const scene = await post('/scenes', {}, { name: 'Dinner' });
  await put('/subscriptions', {}, { stream: null });
  await post('/scenes/{id}/recall', scene);
  await until('the scene', async () => (await house.room('Bath')).stream !== null);
  await put('/scenes/{id}', scene, { name: 'Supper' });
  assert.deepEqual((await get('/scenes')).map(({ name }) => name), ['Supper']);
  await remove('/scenes/{id}', scene);
  await remove('/groups/{id}', group);
}

async function lines({ house, get, post, patch }) {
  await patch('/streams/{id}', { id: 'beta' }, { enabled: false });
  assert.equal((await get('/streams/{id}', { id: 'beta' })).enabled, false);
  await patch('/streams/{id}', { id: 'beta' }, { enabled: true });
  await post('/streams/{id}/playback', { id: 'alpha' }, { action: 'pause' });
  assert.equal((await get('/streams/{id}/playback', { id: 'alpha' })).state, 'paused');
  await post('/streams/{id}/playback', { id: 'alpha' }, { action: 'play' });
  house.configure(house.config.replace(`frequency = ${BETA}.0`, `frequency = ${BETA + 100}.0`));
  const { changed, added, removed, failed } = await post('/reload');
  assert.deepEqual({ changed, added, removed, failed }, { changed: ['beta'], added: [], removed: [], failed: [] });
  for (const path of ['/house', '/health', '/streams', '/events']) await get(path);
}

async function shelves({ get, post }) {
  const whole = async () => {
    const { tracks, scan } = await get('/library');
    return tracks === PIECES.length && !scan.running;
  };
  await until('the folder is read', whole);
  await post('/library/scan');
  await until('it is read again', whole);
  const [found] = await get('/library/search', { q: 'evening' });
  assert.equal((await get('/library/tracks/{id}', found)).title, 'Evening air');
  const [album, ...others] = await get('/library/albums', { q: 'rooms' });
  assert.deepEqual(others, []);
  assert.equal((await get('/library/albums/{id}', album)).title, 'Music for small rooms');
  for (const [kind, id] of [['tracks', found.id], ['albums', album.id]]) {
    const jpeg = await get(`/library/${kind}/{id}/artwork`, { id, size: 96 });
    assert.deepEqual([...jpeg.subarray(0, 2)], [0xff, 0xd8]);
  }
  const artist = (await get('/library/artists')).find(({ name }) => name === 'Chamber trio');
  assert.equal((await get('/library/artists/{id}', artist)).tracks, 2);
  const [folder] = await get('/library/folders');
  assert.equal((await get('/library/folders/{id}', folder)).folder_list.length, 2);
  const [playlist] = await get('/library/playlists');
  assert.equal((await get('/library/playlists/{id}', playlist)).title, 'Evening');
}

async function queue({ get, post, patch, delete: remove }) {
  const id = 'music';
  const titles = async () => (await get('/streams/{id}/queue', { id })).filter(({ entry }) => entry).map(({ title }) => title);
  const [album] = await get('/library/albums', { q: 'rooms' });
  const [air] = await get('/library/search', { q: 'evening' });
  const { entries: [evening, ground, canon] } = await post('/streams/{id}/queue', { id }, { albums: [album.id], tracks: [air.id], when: 'end' });
  assert.deepEqual(await titles(), ['Evening air', 'Ground in D', 'Canon at the fifth']);
  await patch('/streams/{id}/queue/{entry}', { id, entry: evening }, { to: 2 });
  assert.deepEqual(await titles(), ['Ground in D', 'Canon at the fifth', 'Evening air']);
  await post('/streams/{id}/queue/{entry}/play', { id, entry: ground });
  await until('it plays', async () => (await get('/streams/{id}/playback', { id })).title === 'Ground in D');
  await remove('/streams/{id}/queue/{entry}', { id, entry: canon });
  assert.deepEqual(await titles(), ['Evening air']);
  await remove('/streams/{id}/queue', { id });
  assert.deepEqual(await titles(), []);
  await patch('/streams/{id}/player', { id }, { shuffle: true });
  assert.equal((await get('/streams/{id}/player', { id })).shuffle, true);
}

async function announce({ house, rooms, post }) {
  const [pitch, file] = [700, join(house.dir, 'gong.wav')];
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', `sine=frequency=${pitch}:duration=2`, file]);
  const announced = await post('/announce', { rooms: rooms.Kitchen }, readFileSync(file));
  assert.deepEqual(announced.rooms, [rooms.Kitchen]);
  await until('the announcement in the Kitchen', () => amplitude(tail(house.record('Kitchen'), 0.3), pitch) > 1e-3);
  assert.ok(amplitude(tail(house.record('Bath'), 0.3), pitch) < 1e-4);
}

/** What is wrong is said, and changes nothing. */
async function wrongs({ client, rooms }) {
  const refused = await client.call('PATCH', '/api/v1/rooms/{id}', { at: { id: rooms.Study }, body: { volume_db: 12 } });
  assert.equal(refused.status, 422);
  assert.match(refused.body.detail, /dB|volume/);
  assert.equal((await client.call('GET', '/api/v1/rooms/{id}', { at: { id: NOBODY } })).status, 404);
  assert.equal((await client.call('PUT', '/api/v1/subscriptions', { body: { stream: null }, token: null })).status, 401);
}

/** Ends with nobody signed in, and one room fewer. */
async function door({ house, client, rooms, put, post, delete: remove }) {
  const session = (method, more) => client.call(method, '/api/v1/session', { token: null, ...more });
  await remove('/rooms/{id}', { id: rooms.Bath });
  await put('/password', {}, { password: 'ground in d minor' });
  assert.equal((await session('POST', { body: { password: 'ground in d major' } })).status, 401);
  const signed = await session('POST', { body: { password: 'ground in d minor' } });
  assert.equal(signed.status, 204);
  const cookie = signed.headers.get('set-cookie').split(';')[0];
  const standing = async () => (await session('GET', { cookie })).body;
  assert.deepEqual(await standing(), { signed_in: true, reading_open: true, has_password: true });
  assert.equal((await session('DELETE', { cookie })).status, 204);
  assert.equal((await standing()).signed_in, false);
  const { path } = await post('/sign-in-link');
  assert.equal((await session('POST', { body: { token: house.token } })).status, 401);
  assert.equal((await session('POST', { body: { token: path.split('token=')[1] } })).status, 204);
}
