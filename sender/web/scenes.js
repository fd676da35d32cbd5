// Scenes: the whole patch with volumes, kept and recalled. The filled one is how the house stands now.

import { doing, maySign } from './actions.js';
import * as api from './api.js';
import { el, icon, keyed, set, text } from './dom.js';
import { store } from './store.js';

/** The chips. */
export function scenes() {
  const chips = el('span.chips');
  const keep = el('button.chip.bare', { type: 'button' }, icon('plus'), 'Keep this one');
  const name = el('input', { maxlength: 64, required: true, placeholder: 'Name', 'aria-label': 'Name of the scene', autocomplete: 'off' });
  const form = el('form.name', { hidden: true }, name, el('button.chip', {}, 'Keep'));
  const edit = el('button.chip.bare', { type: 'button', 'aria-pressed': 'false' }, 'Forget one');
  const node = el('nav.scenes', { 'aria-label': 'Scenes' }, el('h2', {}, 'Scenes'), chips, keep, form, edit);
  let forgetting = false;

  const open = (yes) => {
    form.hidden = !yes;
    keep.hidden = yes;
    if (yes) name.focus();
    else name.value = '';
  };
  keep.addEventListener('click', () => maySign() && open(true));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    if (!wanted) return;
    // A name that is there already means that scene, as the house stands now.
    const there = store.house.scenes.find((scene) => scene.name === wanted);
    if (await doing(there ? api.rewriteScene(there.id, wanted) : api.keepScene(wanted))) {
      open(false);
      keep.focus();
    }
  });
  form.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    open(false);
    keep.focus();
  });
  const forget = (yes) => {
    forgetting = yes;
    node.classList.toggle('forgetting', yes);
    set(edit, { 'aria-pressed': String(yes) });
    text(edit, yes ? 'Done' : 'Forget one');
    store.changed();
  };
  edit.addEventListener('click', () => maySign() && forget(!forgetting));

  function chip(first) {
    const label = el('span');
    const cross = icon('cross');
    const press = async () => {
      if (!forgetting) return doing(api.recallScene(first.id));
      await doing(api.forgetScene(first.id), (house) => ({ ...house, scenes: house.scenes.filter((scene) => scene.id !== first.id) }));
      forget(false);
    };
    const node = el('button.chip', { type: 'button', onclick: press }, label, cross);
    return {
      node,
      update(scene) {
        text(label, scene.name);
        set(node, { 'aria-pressed': String(!forgetting && scene.current), 'aria-label': forgetting ? `Forget ${scene.name}` : null });
      },
    };
  }

  return {
    node,
    update(house) {
      keyed(chips, house.scenes, (scene) => scene.id, chip);
      edit.hidden = !house.scenes.length;
      if (forgetting && !house.scenes.length) forget(false);
      keep.disabled = !house.rooms.length;
    },
  };
}
