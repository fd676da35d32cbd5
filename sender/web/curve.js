// The curve between a fader's travel, 0 to 1, and dB. The hub owns it (house/volume.rs); this prints it while a thumb
// is still moving.

/** At and below this a room is silent. */
export const SILENCE_DB = -60;
const FLOOR = 0.1;

/** The level at a fader's travel. */
export function toDb(travel) {
  const held = Math.min(1, Math.max(0, travel));
  return Math.round(-SILENCE_DB * Math.log10(FLOOR + (1 - FLOOR) * held) * 100) / 100 + 0;
}

/** A fader's travel at a level. */
export function toTravel(db) {
  const held = Math.min(0, Math.max(SILENCE_DB, db));
  const travel = (10 ** (held / -SILENCE_DB) - FLOOR) / (1 - FLOOR);
  return Math.round(Math.min(1, Math.max(0, travel)) * 1000) / 1000;
}

/** One key press: `by` dB from a level, to a whole dB, held between silence and the maximum. */
export function stepped(db, by, maxDb = 0) {
  return Math.min(maxDb, Math.max(SILENCE_DB, Math.round(db) + by));
}
