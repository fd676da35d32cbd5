// A new room at the door, and the view of who may change the house.

import * as actions from './actions.js';
import { doing, say } from './actions.js';
import * as api from './api.js';
import { el, icon, text, vars } from './dom.js';
import { reconnect } from './events.js';
import { go } from './route.js';
import { store } from './store.js';

/** A dashed column: it can do nothing yet. */
export function newRoom(first) {
  const room = () => store.room(first.room.id) ?? first.room;
  const name = el('h3');
  const what = el('p');
  const code = el('p.code');
  const letIn = () => doing(api.admit(room().id));
  const turnAway = () => {
    if (confirm(`Turn ${room().name} away? It may knock again in an hour.`)) doing(api.forgetRoom(room().id));
  };
  const node = el('article.door', {}, name, what, code,
    el('button.btn', { type: 'button', onclick: () => actions.chirp(room()) }, 'Make it chirp'),
    el('button.btn.solid', { type: 'button', onclick: letIn }, 'Let it in'),
    el('button.btn.bare', { type: 'button', onclick: turnAway }, 'Turn away'));
  return {
    node,
    update({ room, column }) {
      vars(node, { '--r': column });
      node.setAttribute('aria-label', `New room ${room.name}`);
      text(name, room.name);
      text(what, [room.host, room.output].filter(Boolean).join(', '));
      text(code, room.code ? room.code.replace(/(...)(...)/, '$1 $2') : '');
    },
  };
}

/** `#/door`: signing out, the password, a link for another device. */
export function doorView() {
  const lead = el('p.lead');
  const password = el('input', { type: 'password', autocomplete: 'new-password', minlength: 8, maxlength: 256, required: true });
  const none = el('button.btn.bare', { type: 'button', onclick: () => change(null) }, 'Use none');
  const set = el('form.sheet', {}, el('label.line', {}, el('span', {}, 'House password, 8 characters or more'), password),
    el('p.ends', {}, el('button.btn.solid', {}, 'Set it'), none));
  const link = el('output.link');
  const make = el('button.btn', { type: 'button' }, 'Make a link for another device');
  const out = el('button.btn.bare', { type: 'button' }, 'Sign this one out');
  const node = el('section.view.narrow-view', { 'aria-label': 'The door' }, el('a.backlink', { href: '#/' }, icon('back'), 'House'),
    el('h1', {}, 'The door'), lead, set, el('div.sheet', {}, el('p', {}, make), link, el('p.ends', {}, out)));

  const change = async (value) => {
    if (!(await doing(api.setPassword(value)))) return;
    password.value = '';
    say(value ? 'The password is set. Everybody signs in anew.' : 'There is no password now; the sign-in link is the only way.');
    if (value) await doing(api.signIn({ password: value }));
    reconnect();
  };
  set.addEventListener('submit', (event) => {
    event.preventDefault();
    change(password.value);
  });
  make.addEventListener('click', async () => {
    const made = await api.newLink().catch((refusal) => say(refusal.message));
    if (made) text(link, location.origin + made.path);
  });
  out.addEventListener('click', async () => {
    if (!(await doing(api.signOut()))) return;
    reconnect();
    go('house');
  });
  return {
    node,
    open() {
      text(link, '');
      actions.maySign();
    },
    update() {
      const { reading_open: open, has_password: has } = store.session ?? {};
      text(lead, `${open ? 'Anybody in this network may look' : 'Only who is signed in may look'}; only who is signed in may change anything. ${has ? 'There is a house password.' : 'There is no house password: only the sign-in link opens.'}`);
      none.hidden = !has;
    },
    title: () => 'The door',
  };
}
