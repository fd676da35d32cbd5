// A room's offset over the last five minutes: one series, the band of one sample, the bead at its end.

import { el, set, svg, text, vars } from './dom.js';
import { SAMPLE_US, quantile, tracePath, traceRange } from './geometry.js';
import * as words from './words.js';

/** What is shown, in seconds. */
const SPAN = 300;
/** A drawing unit is stretched to the place there is. */
const WIDTH = 900;
const HEIGHT = 150;

/** The trace. `load(history)` starts it, `add(offset, loss)` goes on, `draw()` shows it. */
export function trace() {
  const frame = svg('rect', { class: 'frame', x: 0, width: WIDTH });
  const zero = svg('path', { class: 'zero', d: `M0 ${HEIGHT / 2}H${WIDTH}` });
  const line = svg('path', { class: 'line' });
  const lost = svg('path', { class: 'lost' });
  const picture = svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' }, frame, zero, line, lost);
  const bead = el('i.bead');
  const [early, late] = [el('span.ax.a'), el('span.ax.b')];
  const [figure, side, half, most] = [el('b'), document.createTextNode(''), el('b'), el('b')];
  const node = el('section.trace', { 'aria-label': 'Offset, last five minutes' },
    el('div.trace-head', {}, el('p.now', {}, figure, side),
      el('p.facts', {}, el('span', {}, half, ' half the time'), el('span', {}, most, ' 99 in 100'))),
    el('div.plot', {}, picture, bead, early, late),
    el('p.when', {}, el('span', {}, '5 minutes ago'), el('span', {}, 'now')));
  let samples = [];

  return {
    node,
    load({ age_s: ages, offset_us: offsets, loss_ratio: losses }) {
      const now = Date.now() / 1000;
      samples = ages.map((age, at) => ({ at: now - age, offset: offsets[at], loss: losses[at] }));
    },
    clear() {
      samples = [];
    },
    add(offset, loss) {
      const at = Date.now() / 1000;
      if (samples.length && at - samples.at(-1).at < 0.7) return;
      samples.push({ at, offset, loss });
      while (samples.length && at - samples[0].at > SPAN) samples.shift();
    },
    draw(current) {
      const now = Date.now() / 1000;
      const known = samples.map(({ at, offset, loss }) => ({ age: now - at, offset, loss }));
      const offsets = known.map(({ offset }) => offset);
      const range = traceRange(offsets);
      const band = Math.min(1, SAMPLE_US / range) * HEIGHT;
      set(frame, { y: (HEIGHT - band) / 2, height: band });
      set(line, { d: tracePath(known, { width: WIDTH, height: HEIGHT, range, span: SPAN }) });
      const ticks = known.filter(({ loss, age }) => loss > 0 && age < SPAN);
      set(lost, { d: ticks.map(({ age }) => `M${(WIDTH * (1 - age / SPAN)).toFixed(1)} ${HEIGHT}v-6`).join('') });
      const sampled = range <= 25;
      text(early, sampled ? 'one sample early, 20.8 µs' : `${words.span(range)} early`);
      text(late, sampled ? 'one sample late' : `${words.span(range)} late`);
      vars(node, { '--edge': `${sampled ? ((HEIGHT - band) / 2 / HEIGHT) * 100 : 0}%` });
      bead.hidden = current == null;
      const said = current == null ? ['silent', ''] : splitOffset(current);
      text(figure, said[0]);
      if (side.data !== said[1]) side.data = said[1];
      if (current != null) vars(bead, { '--at': `${50 + (Math.max(-range, Math.min(range, current)) / range) * 50}%` });
      const [median, worst] = [quantile(offsets, 0.5), quantile(offsets, 0.99)];
      text(half, median == null ? 'unknown' : words.span(median));
      text(most, worst == null ? 'unknown' : words.span(worst));
      const told = worst == null ? 'No offset is known yet' : `Offset stays within ${words.span(quantile(offsets, 1))} for the time shown`;
      set(picture, { 'aria-label': told.replace('µs', 'microseconds') });
    },
  };
}

function splitOffset(us) {
  const said = words.offset(us);
  const at = said.lastIndexOf(' ');
  return said === 'on the clock' ? ['0 µs', ' on the clock'] : [said.slice(0, at), said.slice(at)];
}
