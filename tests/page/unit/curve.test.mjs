import assert from 'node:assert/strict';
import { test } from 'node:test';

import { stepped, toDb, toTravel } from '../../../sender/web/curve.js';

test('the curve is that of the hub', () => {
  // The figures of sender/src/house/volume.rs.
  assert.equal(toDb(0), -60);
  assert.equal(toDb(1), 0);
  assert.equal(Math.round(toDb(0.5)), -16);
  assert.equal(toTravel(-60), 0);
  assert.equal(toTravel(0), 1);
});

test('there and back', () => {
  for (let db = -60; db <= 0; db += 0.5) assert.ok(Math.abs(toDb(toTravel(db)) - db) < 0.15, `${db}`);
});

test('what is out of range is held', () => {
  assert.equal(toDb(-1), -60);
  assert.equal(toDb(7), 0);
  assert.equal(toTravel(-999), 0);
  assert.equal(toTravel(12), 1);
});

test('a key moves by whole dB and never past the maximum', () => {
  assert.equal(stepped(-14.3, 1), -13);
  assert.equal(stepped(-14, -1), -15);
  assert.equal(stepped(-14, 6), -8);
  assert.equal(stepped(-2, 6, -1), -1);
  assert.equal(stepped(-58, -6), -60);
  assert.equal(stepped(-60, -1), -60);
});
