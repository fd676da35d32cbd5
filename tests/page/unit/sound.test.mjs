import assert from 'node:assert/strict';
import { test } from 'node:test';

import { amplitude } from '../sound.mjs';

test('a tone is heard at its own frequency alone', () => {
  const tone = Float64Array.from({ length: 24_000 }, (_, n) => 0.1 * Math.sin((2 * Math.PI * 997 * n) / 48_000));
  assert.ok(Math.abs(amplitude(tone, 997) - 0.1) < 0.001);
  assert.ok(amplitude(tone, 440) < 1e-5);
});
