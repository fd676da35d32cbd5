// What the page knows: the house as the hub last told it, with the changes that are on their way on top.

import { STALE_S } from './words.js';

const KEPT = 'unisono.house';

class Store extends EventTarget {
  /** The house, changes on their way included; null while nothing is known. */
  house = null;
  /** `connecting`, `here` or `away`. */
  link = 'connecting';
  /** How we stand at the door: `{ signed_in, reading_open, has_password }`. */
  session = null;
  /** When the hub last said anything, in Unix seconds. */
  heard = 0;
  /** The line that was touched last. */
  touched = null;

  #told = null;
  #changes = new Map();
  #waiting = false;

  constructor() {
    super();
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT));
      if (kept?.house) {
        this.#told = kept.house;
        this.heard = kept.heard;
        this.#derive();
      }
    } catch {
      // Nothing was kept, or what was is of no use.
    }
  }

  /** The whole house anew. */
  tell(house) {
    this.#told = house;
    this.#hear();
    this.#keep();
  }

  /** How rooms and streams are now. */
  tellNow({ rooms, streams }) {
    if (!this.#told) return;
    const merge = (whole, now) => (now ? { ...whole, ...now } : whole);
    this.#told = {
      ...this.#told,
      rooms: this.#told.rooms.map((room) => merge(room, rooms[room.id])),
      streams: this.#told.streams.map((stream) => merge(stream, streams[stream.id])),
    };
    this.#hear();
    this.dispatchEvent(new CustomEvent('now', { detail: { rooms, streams } }));
  }

  /** The link's state. */
  setLink(link) {
    if (this.link === link) return;
    this.link = link;
    if (link === 'away') this.#keep();
    this.#derive();
  }

  setSession(session) {
    this.session = session;
    this.changed();
  }

  /** Forgets the house: this browser may not look. */
  forget() {
    this.#told = null;
    this.#derive();
    localStorage.removeItem(KEPT);
  }

  /**
   * Shows a change before the hub has made it, until `done` is settled. `change` gets the house as the hub told it and
   * returns the house as it will be.
   */
  async expect(change, done) {
    const key = {};
    this.#changes.set(key, change);
    this.#derive();
    try {
      return await done;
    } finally {
      this.#changes.delete(key);
      this.#derive();
    }
  }

  room(id) {
    return this.house?.rooms.find((room) => room.id === id);
  }

  stream(id) {
    return this.house?.streams.find((stream) => stream.id === id);
  }

  /** The line that the player shows: the one touched last, or one that is heard, or the first. */
  line() {
    const streams = this.house?.streams ?? [];
    return this.stream(this.touched) ?? streams.find((stream) => stream.playing_rooms) ?? streams[0];
  }

  touch(stream) {
    this.touched = stream;
    this.changed();
  }

  /** Draws once before the next frame, however much has changed. */
  changed() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.dispatchEvent(new Event('change'));
    });
  }

  #hear() {
    this.heard = Date.now() / 1000;
    this.link = 'here';
    this.#derive();
  }

  #derive() {
    let house = this.#told;
    if (house) {
      for (const change of this.#changes.values()) house = change(house) ?? house;
      const off = new Set(house.streams.filter((stream) => !stream.enabled).map((stream) => stream.id));
      // What is long past stays as it was last seen; it is drawn grey.
      const away = this.link !== 'here';
      const seen = (room) => ({ ...room, lineOff: off.has(room.stream), health_age_s: away ? Math.min(room.health_age_s ?? STALE_S, STALE_S) : room.health_age_s });
      house = { ...house, rooms: house.rooms.map(seen) };
    }
    this.house = house;
    this.changed();
  }

  #keep() {
    try {
      localStorage.setItem(KEPT, JSON.stringify({ house: this.#told, heard: this.heard }));
    } catch {
      // Full or forbidden: the page works without.
    }
  }
}

export const store = new Store();
