// The API as a program sees it: every operation that is described is called, and answers as described.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describedClient } from './client.mjs';
import { until } from './house.mjs';
import { becomes, tonesHouse } from './tones.mjs';

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

test('a client made from the description runs the house', async () => {
  const house = await tonesHouse();
  try {
    const client = await describedClient(house);
    const get = async (path, at) => (await client.call('GET', path, { at })).body;

    const rooms = await get('/api/v1/rooms');
    const [bath, kitchen, study] = ['Bath', 'Kitchen', 'Study'].map((name) => rooms.find((room) => room.name === name).id);
    assert.equal((await get('/api/v1/rooms/{id}', { id: kitchen })).stream, 'alpha');
    await client.call('PUT', '/api/v1/subscriptions/{room}', { at: { room: kitchen }, body: { stream: 'beta' } });
    await becomes(house, 'Kitchen', 'beta', (room) => room.stream === 'beta');
    await client.call('PATCH', '/api/v1/rooms/{id}', { at: { id: study }, body: { volume_db: -30, mute: true } });
    await client.call('POST', '/api/v1/rooms/{id}/identify', { at: { id: study } });
    await becomes(house, 'Study', 'muted', (room) => room.mute && room.volume_db === -30);
    assert.ok(Array.isArray((await get('/api/v1/rooms/{id}/history', { id: study })).t ?? []));

    const group = (await client.call('POST', '/api/v1/groups', { body: { name: 'Ground floor', rooms: [bath, kitchen] } })).body;
    await client.call('PATCH', '/api/v1/groups/{id}', { at: { id: group.id }, body: { name: 'Below' } });
    assert.equal((await get('/api/v1/groups')).length, 1);
    const scene = (await client.call('POST', '/api/v1/scenes', { body: { name: 'Dinner' } })).body;
    await client.call('PUT', '/api/v1/subscriptions', { body: { stream: null } });
    await client.call('POST', '/api/v1/scenes/{id}/recall', { at: { id: scene.id } });
    await until('the scene', async () => (await house.room('Bath')).stream !== null);
    await client.call('PUT', '/api/v1/scenes/{id}', { at: { id: scene.id }, body: { name: 'Supper' } });
    await client.call('DELETE', '/api/v1/scenes/{id}', { at: { id: scene.id } });
    await client.call('DELETE', '/api/v1/groups/{id}', { at: { id: group.id } });

    await client.call('PATCH', '/api/v1/streams/{id}', { at: { id: 'beta' }, body: { enabled: false } });
    assert.equal((await get('/api/v1/streams/{id}', { id: 'beta' })).enabled, false);
    for (const path of ['/api/v1/house', '/api/v1/health', '/api/v1/streams', '/api/v1/scenes', '/api/v1/subscriptions', '/api/v1/session', '/api/v1/events']) {
      assert.equal((await client.call('GET', path)).status, 200, path);
    }
    // What is wrong is said, and changes nothing.
    const refused = await client.call('PATCH', '/api/v1/rooms/{id}', { at: { id: study }, body: { volume_db: 12 } });
    assert.equal(refused.status, 422);
    assert.match(refused.body.detail, /dB|volume/);
    assert.equal((await client.call('GET', '/api/v1/rooms/{id}', { at: { id: NOBODY } })).status, 404);
  } finally {
    await house.stop();
  }
});
