// The hub's events, and what to do when they stop: the page greys out, asks again every other second and heals by itself.

import * as api from './api.js';
import { store } from './store.js';

/** Events come every second; after so long without one the hub is away. */
const SILENCE_MS = 5000;
const AGAIN_MS = 1500;
/** A page that nobody sees keeps its connection for so long. */
const HIDDEN_MS = 15000;

let source = null;
let watchdog = 0;
let again = 0;
let hidden = 0;
let version = null;

/** Begins to listen. */
export function listen() {
  document.addEventListener('visibilitychange', look);
  addEventListener('online', () => source ?? connect());
  connect();
}

/** Asks anew how we stand at the door, and listens again. */
export function reconnect() {
  connect();
}

function look() {
  clearTimeout(hidden);
  if (document.hidden) hidden = setTimeout(close, HIDDEN_MS);
  else if (!source) connect();
}

function close() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  clearTimeout(again);
}

async function connect() {
  close();
  const mine = (source = new EventSource('/api/v1/events'));
  mine.addEventListener('house', ({ data }) => {
    const house = JSON.parse(data);
    // A new version of the hub brings a new page.
    if (version && house.hub.version !== version) location.reload();
    version = house.hub.version;
    heard();
    store.tell(house);
  });
  mine.addEventListener('now', ({ data }) => {
    heard();
    store.tellNow(JSON.parse(data));
  });
  mine.onerror = () => mine === source && lost();
  heard();
  try {
    store.setSession(await api.session());
  } catch {
    // The events' own error says the same.
  }
}

function heard() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, SILENCE_MS);
}

async function lost() {
  close();
  try {
    // It may answer and only not tell: reading can be closed to us.
    const session = await api.session();
    store.setSession(session);
    if (!session.reading_open && !session.signed_in) {
      store.forget();
      return;
    }
  } catch {
    // It does not answer either.
  }
  store.setLink('away');
  if (!source) again = setTimeout(connect, AGAIN_MS);
}
