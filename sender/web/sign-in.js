// Signing in: the beads are scattered off the line, and settle on it when the word is right.

import * as api from './api.js';
import { el, set, svg, text } from './dom.js';
import { reconnect } from './events.js';
import { store } from './store.js';

const SETTLE_MS = 500;
const OFF = [-9, 13, 0, -16, 9];
const still = matchMedia('(prefers-reduced-motion: reduce)');

/** The view of a locked house. */
export function signInView() {
  const beads = OFF.map((off, at) => svg('circle', { cx: 60 * (at + 1), cy: 30 + off, r: 8, class: `s${at + 1}` }));
  const line = svg('svg', { class: 'login-line', viewBox: '0 0 360 60', 'aria-hidden': 'true' }, svg('path', { d: 'M0 30H360' }), ...beads);
  const label = el('span');
  const input = el('input', { type: 'password', autocomplete: 'current-password', required: true, 'aria-describedby': 'sign-in-hint sign-in-wrong' });
  const wrong = el('p.wrong', { id: 'sign-in-wrong', role: 'alert' });
  const hint = el('p', { id: 'sign-in-hint' });
  const button = el('button.btn.solid', {}, 'Sign in');
  const title = el('h1', {}, 'This house is locked');
  const form = el('form.login', {}, line, title, el('label', {}, label, input), wrong, button, hint, el('a.btn.bare.look', { href: '#/' }, 'Only look'));
  const node = el('section.view', { 'aria-label': 'Sign in' }, form);
  let back = '#/';

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await api.signIn(secret(input.value.trim()));
    } catch (refusal) {
      text(wrong, refusal.status === 401 ? told() : refusal.message);
      set(input, { 'aria-invalid': 'true' });
      input.select();
      input.focus();
      return;
    } finally {
      button.disabled = false;
    }
    text(wrong, '');
    input.value = '';
    reconnect();
    await settle();
    location.hash = back;
  });

  /** A link, its token, or the password. */
  function secret(typed) {
    const token = /token=([0-9a-f]+)/.exec(typed)?.[1] ?? (/^[0-9a-f]{64}$/.test(typed) ? typed : null);
    return token || !store.session?.has_password ? { token: token ?? typed } : { password: typed };
  }

  function told() {
    return store.session?.has_password ? 'This is not the password, nor the latest sign-in link.' : 'This is not the latest sign-in link.';
  }

  async function settle() {
    if (still.matches) return;
    const moves = beads.map((bead, at) => bead.animate({ transform: ['none', `translateY(${-OFF[at]}px)`] }, { duration: SETTLE_MS, easing: 'ease-out', fill: 'forwards' }));
    await Promise.all(moves.map((move) => move.finished));
    moves.forEach((move) => move.cancel());
  }

  return {
    node,
    title: () => 'Sign in',
    open({ id, query }) {
      back = query.get('back') ?? '#/';
      if (back.startsWith('#/sign-in')) back = '#/';
      text(wrong, id === 'old-link' ? 'This link is not the latest one. Make a new one with: unisono-sender ctl link' : '');
      set(input, { 'aria-invalid': null });
      input.focus();
    },
    update() {
      const { has_password: has, reading_open: open } = store.session ?? {};
      text(title, open ? 'Sign in to change that' : 'This house is locked');
      text(label, has ? 'House password, or the sign-in link' : 'Sign-in link');
      text(hint, `On the sender's host, “unisono-sender ctl link” makes a sign-in link; where the sender is a service, “sudo” comes first. ${has ? '' : 'There is no password yet. '}This device stays signed in for 180 days.`);
      form.querySelector('.look').hidden = !open;
    },
  };
}
