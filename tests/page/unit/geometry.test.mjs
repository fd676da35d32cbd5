import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as geometry from '../../../sender/web/geometry.js';

const room = (id) => ({ id });

test('rooms of a group stand together, the others behind', () => {
  const rooms = ['bath', 'kitchen', 'study', 'terrace'].map(room);
  const { rooms: columns, brackets } = geometry.arrange(rooms, [{ name: 'Down', rooms: ['terrace', 'kitchen'] }]);
  assert.deepEqual(columns.map(({ id }) => id), ['kitchen', 'terrace', 'bath', 'study']);
  assert.deepEqual(brackets.map(({ first, span }) => [first, span]), [[0, 2]]);
});

test('a group of rooms that are not here has no bracket', () => {
  assert.deepEqual(geometry.arrange([room('a')], [{ rooms: ['x', 'y'] }]).brackets, []);
});

test('a quarter turn gives every room a row and every group a head', () => {
  const order = geometry.arrange(['a', 'b', 'c'].map(room), [{ rooms: ['a', 'b'] }]);
  const turn = geometry.quarterTurn(order);
  assert.deepEqual(turn.heights, [52, 48, 76, 92, 92, 92]);
  assert.deepEqual(turn.groupRows, [3]);
  assert.deepEqual(turn.roomRows, [4, 5, 6]);
  assert.deepEqual(turn.middles, [222, 314, 406]);
  assert.equal(turn.total, 452);
});

test('a pixel is a microsecond, as far as there is room', () => {
  assert.deepEqual(geometry.bead(-3), { early: 3, far: false });
  assert.deepEqual(geometry.bead(30), { early: -30, far: false });
  assert.deepEqual(geometry.bead(412), { early: -30, far: true });
  assert.deepEqual(geometry.bead(-22, geometry.STOP.narrow), { early: 15, far: false });
});

test('a string passes through its beads and ends at the last', () => {
  assert.equal(geometry.stringPath([50, 150], [null, null], 38), '');
  assert.equal(geometry.stringPath([50, 150, 250], [3, null, null], 38), 'M0 38C25 38 25 35 50 35');
  assert.equal(geometry.stringPath([50, 150], [null, -2], 38), 'M0 38C25 38 25 38 50 38C100 38 100 40 150 40');
  assert.equal(geometry.stringPath([146], [3], 21, { turned: true, from: 46 }), 'M21 46C21 96 18 96 18 146');
});

test('a trace shows all there is', () => {
  assert.equal(geometry.traceRange([]), 25);
  assert.equal(geometry.traceRange([3, null, -24]), 25);
  assert.equal(geometry.traceRange([412]), 500);
  assert.equal(geometry.traceRange([1e9]), 1e6);
});

test('a trace has gaps where nothing was known, and no more than its span', () => {
  const samples = [{ age: 400, offset: 1 }, { age: 300, offset: 0 }, { age: 150, offset: 25 }, { age: 100, offset: null }, { age: 0, offset: -25 }];
  const path = geometry.tracePath(samples, { width: 900, height: 150, range: 25, span: 300 });
  assert.equal(path, 'M0 75L450 150M900 0');
});

test('a quantile is a value that was there', () => {
  assert.equal(geometry.quantile([], 0.5), null);
  assert.equal(geometry.quantile([null, -4, 2, 3], 0.5), 3);
  assert.equal(geometry.quantile([1, 2, 3, -9], 0.99), 9);
  assert.equal(geometry.quantile([1, 2], 0), 1);
});

test('a point is in one box or in none', () => {
  const boxes = [{ left: 0, right: 10, top: 0, bottom: 10 }, { left: 10, right: 20, top: 0, bottom: 10 }];
  assert.equal(geometry.boxAt(boxes, 10, 5), 1);
  assert.equal(geometry.boxAt(boxes, 25, 5), -1);
});
