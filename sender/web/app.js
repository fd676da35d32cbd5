// The page: what is shown where, and what every view shares.

import { doorView } from './door.js';
import { el, set } from './dom.js';
import { listen } from './events.js';
import { groupView } from './group.js';
import { houseView } from './house.js';
import { libraryView } from './library.js';
import { player } from './player.js';
import { queueView } from './queue.js';
import { roomView } from './room.js';
import { go, here } from './route.js';
import { signInView } from './sign-in.js';
import { store } from './store.js';

/** Before the last known house is shown, the hub has so long to answer. */
const GRACE_MS = 400;
const NOTICE_MS = 8000;

const views = {
  house: houseView(), room: roomView(), queue: queueView(), library: libraryView(),
  group: groupView(), door: doorView(), 'sign-in': signInView(),
};
const main = document.querySelector('main');
const bar = player(document.querySelector('.player'));
const notice = document.querySelector('.notice');
let shown = null;
let patient = true;

function show() {
  const at = here();
  const locked = store.session && !store.session.signed_in && !store.session.reading_open;
  if (locked && at.view !== 'sign-in') return go('sign-in', '', { back: location.hash });
  const view = views[at.view];
  const moved = shown && shown !== view;
  shown = view;
  document.body.dataset.view = at.view;
  main.replaceChildren(view.node);
  view.update();
  view.open?.(at);
  document.title = `${view.title()} · Unisono`;
  if (moved) {
    scrollTo(0, 0);
    // A reader goes on in the new view.
    if (!view.node.contains(document.activeElement)) {
      main.tabIndex = -1;
      main.focus({ preventScroll: true });
    }
  }
  draw();
}

function draw() {
  if (!shown || (patient && store.link === 'connecting')) return;
  const locked = store.session && !store.session.signed_in && !store.session.reading_open;
  if (locked && here().view !== 'sign-in') return show();
  document.body.dataset.link = store.link;
  for (const link of document.querySelectorAll('[data-for]')) {
    set(link, { 'aria-current': link.dataset.for === document.body.dataset.view ? 'page' : null });
  }
  document.querySelector('.enter').hidden = !store.session || store.session.signed_in;
  shown.update();
  if (shown !== views.house) document.title = `${shown.title()} · Unisono`;
  bar.update();
}

addEventListener('say', ({ detail }) => {
  const words = el('span', {}, detail);
  notice.replaceChildren(words);
  notice.classList.add('shown');
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => notice.classList.remove('shown'), NOTICE_MS);
});
addEventListener('keydown', ({ key }) => key === 'Escape' && notice.classList.remove('shown'));
addEventListener('hashchange', show);
store.addEventListener('change', draw);
// "Three minutes ago" grows while nothing comes.
setInterval(() => store.link === 'away' && store.changed(), 5000);

document.querySelector('.theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === 'dark' ||
    (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('unisono.theme', document.documentElement.dataset.theme);
});

setTimeout(() => {
  patient = false;
  if (store.link === 'connecting' && store.house) store.setLink('away');
  draw();
}, GRACE_MS);
show();
listen();
if ('serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(() => {});
