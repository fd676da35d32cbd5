// Strangers who mean no good: floods, slow heads, garbage, giant names. The house stays up, and the music goes on.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';

import { until } from './house.mjs';
import { tail } from './sound.mjs';
import { ALPHA, sounds, tonesHouse } from './tones.mjs';

const IDLE = 10_000;
const RATE = 48_000;

/** A connection that nobody minds losing, from an address of its own kind: each has room for some only. */
function stranger(house, from, words) {
  const socket = connect({ port: house.port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => {});
  socket.resume();
  if (words) socket.write(words);
  return socket;
}

/** Blocks of 10 ms, in the last seconds of a room's record, that hold no sound. */
function holes(house, room, seconds) {
  const samples = tail(house.record(room), seconds);
  let silent = 0;
  for (let at = 0; at + 480 <= samples.length; at += 480) {
    if (samples.subarray(at, at + 480).every((x) => Math.abs(x) < 1e-4)) silent += 1;
  }
  return { silent, heard: samples.length / RATE };
}

/** Asks properly, from another address than the strangers'; the status, or 'closed'. */
function ask(house, { method = 'GET', path = '/api/v1/health', headers = {}, body = '' } = {}) {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', localAddress: '127.0.0.2', port: house.port, method, path, headers, agent: false, timeout: 5000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve('closed'));
    asked.end(body);
  });
}

const answers = (house) => until('an answer', async () => (await ask(house)) === 200);

test('10 000 idle connections, slow heads, garbage and giant names are survived, and the music goes on', async () => {
  const house = await tonesHouse();
  const strangers = [];
  try {
    await sounds(house, 'Kitchen', ALPHA);
    const begun = Date.now();

    for (let count = 0; count < IDLE; count += 1) {
      strangers.push(stranger(house, '127.0.0.3'));
      if (count % 500 === 499) await new Promise((resolve) => setImmediate(resolve));
    }
    await answers(house);

    const slow = Array.from({ length: 200 }, () => stranger(house, '127.0.0.4', 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: '));
    const drip = setInterval(() => slow.forEach((socket) => socket.writable && socket.write('a')), 200);
    strangers.push(...slow);
    await answers(house);

    for (const bytes of [2, 126, 4096]) {
      const socket = stranger(house, '127.0.0.5', `GET /api/v1/receivers/link HTTP/1.1\r\nHost: 127.0.0.1:${house.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
      socket.write(randomBytes(bytes));
      socket.write(randomBytes(64 * bytes));
      strangers.push(socket);
    }
    for (const name of ['x'.repeat(1_000_000), '\u0000', '']) {
      const answer = await ask(house, {
        method: 'POST',
        path: '/api/v1/groups',
        headers: { authorization: `Bearer ${house.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name, rooms: [] }),
      });
      assert.ok([413, 422, 'closed'].includes(answer), `a name of ${name.length}: ${answer}`);
    }
    const head = stranger(house, '127.0.0.6', `GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\n`);
    await until('a head of a megabyte is refused', () => head.closed);
    await answers(house);

    // Those who never finish what they ask are shown out.
    await until('the slow ones are gone', () => slow.every((socket) => socket.closed), 40_000);
    clearInterval(drip);
    const seconds = (Date.now() - begun) / 1000;
    const { silent, heard } = holes(house, 'Kitchen', seconds - 1);
    console.log(`flood: ${heard.toFixed(0)} s of music meanwhile, ${silent} silent blocks of 10 ms`);
    assert.ok(heard > 5);
    // All of this runs on the processors that also play: one block in a hundred may be the machine's, a hole is ours.
    assert.ok(silent <= heard, `${silent} of ${Math.round(heard * 100)} blocks are silent`);
    assert.doesNotMatch(house.log('sender'), /panicked/);
  } finally {
    strangers.forEach((socket) => socket.destroy());
    await house.stop();
  }
});
