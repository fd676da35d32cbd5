// Groups: a bracket that gathers its rooms, with one fader that keeps their balance; and the view that makes them.

import { doing } from './actions.js';
import * as api from './api.js';
import { el, icon, keyed, set, text, vars } from './dom.js';
import { fader } from './fader.js';
import { go, to } from './route.js';
import { store } from './store.js';

/** The bracket below its rooms (beside them, on a phone). */
export function bracket(first) {
  const id = first.group.id;
  const name = el('a', { href: to('group', id) });
  const level = fader((db) => doing(api.changeGroup(id, { volume_db: db })), { flat: true, ceiling: true });
  const node = el('div.group', { title: 'Moves its rooms together and keeps their balance' }, el('h3', {}, name), level.node, level.level);
  return {
    node,
    update({ group, first, span, row }) {
      vars(node, { '--r': first + 1, '--span': span, '--pr': row });
      text(name, group.name);
      level.update({ label: `${group.name} volume`, db: group.volume_db, marked: false });
    },
  };
}

/** The view of one group, or of a new one. */
export function groupView() {
  const title = el('h1');
  const name = el('input', { maxlength: 64, required: true, autocomplete: 'off', placeholder: 'Downstairs' });
  const list = el('ul.choices');
  const save = el('button.btn.solid');
  const dissolve = el('button.btn.bare', { type: 'button' }, 'Dissolve this group');
  const hint = el('p.hint', { role: 'status' });
  const form = el('form.sheet', {},
    el('label.line', {}, el('span', {}, 'Name'), name),
    el('fieldset', {}, el('legend', {}, 'Its rooms'), list), hint, el('p.ends', {}, save, dissolve));
  const node = el('section.view.narrow-view', {}, el('a.backlink', { href: '#/' }, icon('back'), 'House'), title,
    el('p.lead', {}, 'Rooms of a group play the same line, and one fader moves them together.'), form);
  let at;

  const chosen = () => [...list.querySelectorAll('input:checked')].map((box) => box.value);
  const group = () => store.house?.groups.find((group) => group.id === at);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const [wanted, rooms] = [name.value.trim(), chosen()];
    if (rooms.length < 2) return text(hint, 'A group needs two rooms or more.');
    const request = group() ? api.changeGroup(at, { name: wanted, rooms }) : api.formGroup(wanted, rooms);
    if (await doing(request)) go('house');
  });
  dissolve.addEventListener('click', async () => {
    if (await doing(api.dissolveGroup(at))) go('house');
  });

  function choice(first) {
    const box = el('input', { type: 'checkbox', value: first.room.id });
    const label = el('span');
    const where = el('small');
    return {
      node: el('li', {}, el('label', {}, box, label, where)),
      update({ room, group }) {
        text(label, room.name);
        text(where, group && group.id !== at ? `leaves ${group.name}` : '');
      },
    };
  }

  return {
    node,
    open({ id }) {
      at = id;
      name.value = group()?.name ?? '';
      text(hint, '');
      list.querySelectorAll('input').forEach((box) => (box.checked = Boolean(group()?.rooms.includes(box.value))));
      this.fresh = true;
    },
    update() {
      const house = store.house;
      if (!house) return;
      const there = group();
      text(title, there?.name ?? 'A new group');
      text(save, there ? 'Keep it so' : 'Group them');
      dissolve.hidden = !there;
      const inside = house.rooms.filter((room) => room.presence !== 'at_the_door');
      const item = (room) => ({ room, group: house.groups.find((group) => group.rooms.includes(room.id)) });
      keyed(list, inside.map(item), ({ room }) => room.id, choice);
      if (this.fresh) {
        this.fresh = false;
        name.value = there?.name ?? name.value;
        list.querySelectorAll('input').forEach((box) => (box.checked = Boolean(there?.rooms.includes(box.value))));
      }
      set(node, { 'aria-label': title.textContent });
    },
    title: () => title.textContent,
  };
}
