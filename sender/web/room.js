// A room: what it plays and how, and how it is.

import * as actions from './actions.js';
import { doing } from './actions.js';
import * as api from './api.js';
import { cover } from './cover.js';
import { classes, el, icon, keyed, refill, set, text, vars } from './dom.js';
import { fader, paced } from './fader.js';
import { linesOf } from './house.js';
import { go } from './route.js';
import { store } from './store.js';
import { trace } from './trace.js';
import * as words from './words.js';

const CHANNELS = { stereo: 'Stereo', left: 'Left', right: 'Right', mono: 'Mono' };
/** One press of a trim button, in microseconds; with Shift, one tenth; after a while of holding it, ten times as much. */
const TRIM_STEP = 100;
const MAX_TRIM = 1_000_000;
const HOLD_MS = 400;
const REPEAT_MS = 80;

/** The view of a room. */
export function roomView() {
  let id = '';
  const room = () => store.room(id);
  const change = (what) => actions.changeRoom(id, what);

  const title = el('h1');
  const dot = el('span.dot');
  const sentence = el('span');
  const advice = el('p.advice');
  const chirp = el('button.btn', { type: 'button', onclick: () => actions.chirp(room()) }, icon('chirp'), 'Make it chirp');
  const head = el('header.state.room-state', {}, el('div', {}, title, el('p', {}, dot, sentence), advice), chirp);
  const graph = trace();

  const picks = el('div.picks', { role: 'radiogroup' });
  const volume = fader((db) => change({ volume_db: db }), { flat: true });
  const mute = el('button.rb', { type: 'button', onclick: () => change({ mute: !room().mute }) });
  const limit = fader((db) => change({ max_db: db }), { flat: true, ceiling: true });
  const limitRow = field('Maximum', limit.node, el('span.level', {}, limit.level));
  const hint = document.createTextNode('');
  const openLimit = el('button.text', { type: 'button', onclick: () => showLimit(limitRow.hidden) }, 'Change');
  const channels = el('div.seg', { role: 'radiogroup', 'aria-label': 'Channels' });
  const buttons = Object.entries(CHANNELS).map(([value, label]) =>
    el('button', { type: 'button', role: 'radio', 'data-value': value, onclick: () => change({ channels: value }) }, label));
  channels.append(...buttons);
  const trimmed = el('output');
  const trimHint = el('p.hint');
  const sendTrim = paced((trim_us) => change({ trim_us }));
  let wantedTrim = 0;
  const trim = el('div.step', {}, trimButton('Earlier', '−', -1), trimmed, trimButton('Later', '+', 1));
  const sound = el('section.set', {}, el('h2', {}, 'Sound'),
    field('Plays', picks), field('Volume', volume.node, el('span.level', {}, volume.level, mute), el('p.hint', {}, hint, openLimit)),
    limitRow, field('Channels', channels), field('Trim', trim, trimHint));

  const facts = el('dl.facts-list');
  const rename = el('button.btn.bare', { type: 'button', onclick: () => showRename(true) }, 'Rename');
  const forget = el('button.btn.bare', { type: 'button', onclick: forgetRoom }, 'Forget this room');
  const name = el('input', { maxlength: 64, required: true, 'aria-label': 'Name of the room', autocomplete: 'off' });
  const form = el('form.name', { hidden: true }, name, el('button.chip', {}, 'Rename'));
  const health = el('section.set', {}, el('h2', {}, 'Health'), facts, el('p.ends', {}, rename, form, forget));
  const node = el('section.view.room-view', {}, el('a.backlink', { href: '#/' }, icon('back'), 'House'), head, graph.node, el('div.detail', {}, sound, health));
  limitRow.hidden = true;

  store.addEventListener('now', ({ detail }) => {
    const now = detail.rooms[id];
    if (now) graph.add(now.health?.offset_us ?? null, now.health?.loss_ratio ?? 0);
  });
  arrows(picks);
  arrows(channels);

  function showLimit(yes) {
    limitRow.hidden = !yes;
    text(openLimit, yes ? 'Done' : 'Change');
    if (yes) limit.input.focus();
  }
  function showRename(yes) {
    form.hidden = !yes;
    rename.hidden = yes;
    if (!yes) return rename.focus();
    name.value = room().name;
    name.select();
  }
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (await change({ name: name.value.trim() })) showRename(false);
  });
  form.addEventListener('keydown', (event) => event.key === 'Escape' && showRename(false));
  async function forgetRoom() {
    if (!confirm(`Forget ${room().name}? Its name, volume, trim and place in scenes go; it can come back as a new room.`)) return;
    if (await doing(api.forgetRoom(id))) go('house');
  }
  function moveTrim(by) {
    const from = sendTrim.busy() ? wantedTrim : room().trim_us;
    wantedTrim = Math.max(-MAX_TRIM, Math.min(MAX_TRIM, from + by));
    sendTrim(wantedTrim);
    store.changed();
  }
  function trimButton(label, sign, by) {
    let timer = 0;
    let held = 0;
    const press = () => {
      timer = setTimeout(press, held ? REPEAT_MS : HOLD_MS);
      if (held++ > 0) moveTrim(by * TRIM_STEP * (held > 20 ? 10 : 1));
    };
    const release = () => clearTimeout(timer);
    const click = (event) => {
      // The click behind a long hold is none; one by the keyboard had no hold before.
      if (held < 2) moveTrim(by * (event.shiftKey ? TRIM_STEP / 10 : TRIM_STEP));
      held = 0;
    };
    const down = () => {
      held = 0;
      press();
    };
    const events = { onclick: click, onpointerdown: down, onpointerup: release, onpointerleave: release, onpointercancel: release };
    return el('button.rb', { type: 'button', 'aria-label': label, ...events }, sign);
  }

  function fact([first]) {
    const [before, weighty, after] = [document.createTextNode(''), el('b'), document.createTextNode('')];
    return {
      node: el('div', {}, el('dt', {}, first), el('dd', {}, before, weighty, after)),
      update([, parts]) {
        before.data = parts[0];
        text(weighty, parts[1]);
        after.data = parts[2];
      },
    };
  }

  return {
    node,
    title: () => room()?.name ?? 'Room',
    async open(at) {
      id = at.id;
      graph.clear();
      showLimit(false);
      form.hidden = true;
      rename.hidden = false;
      const asked = id;
      const history = await api.history(id).catch(() => null);
      if (history && asked === id) graph.load(history);
      store.changed();
    },
    update() {
      const now = room();
      node.classList.toggle('unknown', !now);
      if (!now) {
        text(title, store.house ? 'No such room' : ' ');
        return;
      }
      const away = store.link === 'away';
      const lines = linesOf(store.house);
      const line = lines.find((line) => line.stream.id === now.stream);
      const is = words.condition(now);
      vars(node, { '--c': line?.colour ?? 'var(--ink-3)' });
      classes(node, { away, bad: ['late', 'no_card', 'starved', 'trouble'].includes(is) });
      set(sound, { inert: away });
      text(title, now.name);
      const does = words.roomSentence(now, store.house);
      text(sentence, away ? `The sender is away. The last we know: ${does.charAt(0).toLowerCase()}${does.slice(1)}` : does);
      dot.hidden = !line;
      const trouble = words.troubles({ ...store.house, rooms: [now], streams: [] })[0];
      const word = trouble ?? words.aside(now);
      text(advice, word ? `${word.text} ${word.help}`.trim() : '');
      advice.hidden = !word;
      classes(advice, { calm: !trouble });
      chirp.disabled = now.presence === 'gone' || away;
      graph.draw(words.isHeard(now) ? now.health.offset_us : null);

      set(picks, { 'aria-label': `What plays in ${now.name}` });
      keyed(picks, [{ stream: null }, ...lines], (line) => line.stream?.id ?? '', pick).forEach((part) => part.show(now));
      volume.update({ label: `${now.name} volume`, db: now.volume_db, maxDb: now.max_db, muted: now.mute });
      classes(volume.node, { muted: now.mute });
      refill(mute, now.mute, icon(now.mute ? 'mute' : 'sound'));
      set(mute, { 'aria-pressed': String(now.mute), 'aria-label': `Mute ${now.name}` });
      const most = now.max_db < 0 ? `Never louder than ${words.level(now.max_db)}. ` : 'As loud as it can be. ';
      if (hint.data !== most) hint.data = most;
      limit.update({ label: `${now.name} at most`, db: now.max_db, marked: false });
      for (const button of buttons) {
        const on = button.dataset.value === now.channels;
        set(button, { 'aria-checked': String(on), tabindex: on ? 0 : -1 });
      }
      const said = words.trim(sendTrim.busy() ? wantedTrim : now.trim_us);
      text(trimmed, said.value);
      text(trimHint, said.hint);
      keyed(facts, words.facts(now), ([name]) => name, fact);
    },
  };

  function pick({ stream }) {
    const art = stream && cover();
    const node = el('button', { type: 'button', role: 'radio', onclick: () => actions.patch(room(), stream?.id ?? null) },
      art ? art.node : el('span.nothing', { 'aria-hidden': 'true' }));
    const key = stream?.id ?? null;
    return {
      node,
      update({ stream, colour }) {
        art?.update(stream);
        vars(node, { '--c': colour ?? 'var(--ink)' });
        set(node, { 'aria-label': stream?.name ?? 'Nothing', title: stream?.name ?? 'Nothing' });
      },
      show(now) {
        const on = (now.stream ?? null) === key;
        set(node, { 'aria-checked': String(on), tabindex: on ? 0 : -1 });
      },
    };
  }
}

function field(label, ...rest) {
  return el('div.field', {}, el('span.lab', {}, label), ...rest);
}

/** Arrows move within a radio group; Space and Enter choose. */
function arrows(group) {
  group.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const all = [...group.children];
    event.preventDefault();
    all[(all.indexOf(event.target) + by + all.length) % all.length]?.focus();
  });
}
