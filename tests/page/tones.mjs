// Two tones that can be told apart by what a card has put out.

import { House, until } from './house.mjs';
import { heard } from './sound.mjs';

export const ALPHA = 440;
export const BETA = 1000;

const tone = (id, name, frequency) => `id = "${id}"\nname = "${name}"\nsource = { type = "tone", frequency = ${frequency}.0, level_db = -20.0 }`;

export const TONES = [tone('alpha', 'Alpha', ALPHA), tone('beta', 'Beta', BETA)];

/** A house of three rooms that all play Alpha. */
export function tonesHouse(more = {}) {
  const room = (name, ppm, volume) => ({ name, stream: 'alpha', ppm, volume });
  const rooms = [room('Bath', -25, -24), room('Kitchen', 40, -14), room('Study', 10, -18)];
  return House.start({ streams: TONES, rooms, ...more });
}

/** Waits until a room's card puts out this tone and not the other. */
export function sounds(house, name, frequency) {
  return until(`${frequency} Hz in ${name}`, () => heard(house.record(name), [ALPHA, BETA]) === frequency);
}

/** A room's crossing with a line. */
export function crossing(page, room, line) {
  const lines = { alpha: /^Alpha/, beta: /^Beta/ };
  return page.getByRole('radiogroup', { name: `What plays in ${room}` }).getByRole('radio', { name: lines[line] });
}

/** Waits until the hub has it so. */
export function becomes(house, name, what, right) {
  return until(`${name}: ${what}`, async () => right(await house.room(name)));
}
