// Two tones that can be told apart by what a card has put out.

import { createSocket } from 'node:dgram';

import { House, until } from './house.mjs';
import { heard } from './sound.mjs';

export const ALPHA = 440;
export const BETA = 1000;

const tone = (id, name, frequency) => `id = "${id}"\nname = "${name}"\nsource = { type = "tone", frequency = ${frequency}.0, level_db = -20.0 }`;

const room = (name, ppm, volume) => ({ name, stream: 'alpha', ppm, volume });
export const ROOMS = [room('Bath', -25, -24), room('Kitchen', 40, -14), room('Study', 10, -18)];

/** A house of three rooms that all play Alpha. Houses on one host hear of each other's lines, so each has its own names. */
export async function tonesHouse({ streams = [], ...more } = {}) {
  const mark = Math.random().toString(36).slice(2, 6);
  const lines = { alpha: `Alpha ${mark}`, beta: `Beta ${mark}` };
  const tones = [tone('alpha', lines.alpha, ALPHA), tone('beta', lines.beta, BETA), ...streams];
  const house = await House.start({ streams: tones, rooms: ROOMS, ...more });
  house.lines = lines;
  return house;
}

/** Waits until a room's card puts out this tone and not the other. */
export function sounds(house, name, frequency) {
  return until(`${frequency} Hz in ${name}`, () => heard(house.record(name), [ALPHA, BETA]) === frequency);
}

/** A room's crossing with a line. */
export function crossing(page, room, line) {
  return page.getByRole('radiogroup', { name: `What plays in ${room}` }).locator(`[role=radio][data-stream="${line}"]`);
}

/** How many packets of a stream are on the wire within a moment. */
export async function packets(house, stream, ms = 300) {
  const [group, port] = (await house.ask('GET', `/api/v1/streams/${stream}`)).address.split(':');
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  let count = 0;
  socket.on('message', () => (count += 1));
  await new Promise((resolve) => socket.bind(Number(port), group, resolve));
  socket.addMembership(group, '127.0.0.1');
  await new Promise((resolve) => setTimeout(resolve, ms));
  socket.close();
  return count;
}

/** Waits until the hub has it so. */
export function becomes(house, name, what, right) {
  return until(`${name}: ${what}`, async () => right(await house.room(name)));
}
