// What a simulated card put out: how strong one frequency is in the end of its record.

import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

const RATE = 48_000;
/** Two channels of 32 bits. */
const FRAME = 8;

/** The last `seconds` of one channel of a record, the left one unless told, as fractions of full scale. */
export function tail(prefix, seconds = 0.5, channel = 0) {
  const file = `${prefix}.pcm`;
  if (!existsSync(file)) return new Float64Array();
  const handle = openSync(file, 'r');
  try {
    const frames = Math.floor(fstatSync(handle).size / FRAME);
    const count = Math.min(frames, Math.round(seconds * RATE));
    const bytes = Buffer.alloc(count * FRAME);
    readSync(handle, bytes, 0, bytes.length, (frames - count) * FRAME);
    return Float64Array.from({ length: count }, (_, n) => bytes.readInt32LE(n * FRAME + 4 * channel) / 2 ** 31);
  } finally {
    closeSync(handle);
  }
}

/** The amplitude of one frequency (Goertzel), with a window that keeps others out. */
export function amplitude(samples, frequency) {
  const n = samples.length;
  if (!n) return 0;
  const turn = (2 * Math.PI * frequency) / RATE;
  const coefficient = 2 * Math.cos(turn);
  let [s1, s2] = [0, 0];
  for (let i = 0; i < n; i++) {
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / n);
    const s = samples[i] * hann + coefficient * s1 - s2;
    [s2, s1] = [s1, s];
  }
  const power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
  return (4 * Math.sqrt(Math.max(0, power))) / n;
}

/** Which of these frequencies is heard, if one is, and is at least 20 dB above the others. */
export function heard(prefix, frequencies) {
  const samples = tail(prefix);
  const levels = frequencies.map((frequency) => amplitude(samples, frequency));
  const most = Math.max(...levels);
  const others = levels.filter((level) => level !== most);
  return most > 1e-4 && others.every((level) => level * 10 < most) ? frequencies[levels.indexOf(most)] : null;
}
