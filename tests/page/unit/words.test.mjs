import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as words from '../../../sender/web/words.js';

const health = (more = {}) => ({ state: 'playing', offset_us: -3.2, uptime_s: 7200, packets_received: 1000, loss_ratio: 0, ...more });
const room = (more = {}) => ({
  id: 'k', name: 'Kitchen', presence: 'here', stream: 'a', settled: true, mute: false, health_age_s: 0.4, health: health(), ...more,
});
const line = (more = {}) => ({ id: 'a', name: 'House radio', enabled: true, present: true, origin: 'here', kind: 'library', playback: { state: 'playing', can: [] }, ...more });
const house = (rooms, streams = [line()]) => ({ rooms, streams });

test('figures are rounded so that they never look better than they are', () => {
  assert.equal(words.span(2.01), '3 µs');
  assert.equal(words.span(0.2), '1 µs');
  assert.equal(words.span(1234), '1.24 ms');
  assert.equal(words.offset(-2.4), '3 µs early');
  assert.equal(words.offset(412), '412 µs late');
  assert.equal(words.offset(0), 'on the clock');
  assert.equal(words.inHundred(0.0501), '6 in 100');
  assert.equal(words.inHundred(0.0001), '1 in 1000');
});

test('early is plus, late a true minus, and a unit stands apart', () => {
  assert.equal(words.signed(-3), '+3');
  assert.equal(words.signed(2), '−2');
  assert.equal(words.signed(0), '0');
  assert.equal(words.level(-14.2), '−14 dB');
  assert.equal(words.level(0), '0 dB');
  assert.equal(words.level(-0.2), '0 dB');
  assert.equal(words.level(-60), 'silent');
  assert.equal(words.faderLevel(-14, -2), '−14 dB, at most −2 dB');
});

test('distances make time plain', () => {
  assert.equal(words.distance(7), '2.4 mm');
  assert.equal(words.distance(412), '14 cm');
  assert.equal(words.distance(10_000), '3.4 m');
  assert.deepEqual(words.trim(1200), { value: '1.20 ms later', hint: 'As if the loudspeaker stood 41 cm further away.' });
  assert.equal(words.trim(-50).value, '50 µs earlier');
  assert.equal(words.trim(0).value, 'none');
});

test('times', () => {
  assert.equal(words.time(72), '1:12');
  assert.equal(words.time(3725), '1:02:05');
  assert.equal(words.lasting(130), '2 minutes');
  assert.equal(words.lasting(0), '1 second');
});

test('a house in step says how well, with the worst spread of any line', () => {
  const spread = line({ spread_us: 2, spread_worst_us: 6.4 });
  const said = words.headline(house([room(), room({ id: 'd', name: 'Dining room' })], [spread, line({ id: 'b', spread_us: null })]), {});
  assert.equal(said.state, 'ok');
  assert.equal(said.title, 'In step');
  assert.equal(said.figure, '7 µs');
  assert.match(said.text, /^Two rooms play House radio as one loudspeaker\. In 7.µs, sound travels 2\.4.mm:$/);
});

test('one room is on the clock; none is quiet', () => {
  assert.equal(words.headline(house([room()]), {}).title, 'On the clock');
  assert.equal(words.headline(house([room({ stream: null })]), {}).title, 'The house is quiet');
  assert.equal(words.headline(house([]), {}).title, 'No room yet');
});

test('out of step: state, number, what to do', () => {
  const late = room({ name: 'Living room', health: health({ offset_us: 412, loss_ratio: 0.055 }), trouble: { audible: true, text: '' } });
  const there = house([late, room()]);
  const trouble = words.troubles(there);
  const said = words.headline(there, { trouble });
  assert.equal(said.title, 'Living room is out of step');
  assert.equal(said.text, '412 µs late, as if its loudspeaker stood 14 cm too far. The rooms on its line play on.');
  assert.match(trouble[0].what, /^loses 6 in 100 packets\. /);
  assert.deepEqual(words.health(late), { bold: 'Out of step', wide: 'loses 6 in 100', narrow: '412 µs late', bad: true });
});

test('the same trouble of several rooms is one', () => {
  const loses = (name, loss_ratio) => room({ id: name, name, health: health({ loss_ratio }), trouble: { audible: true, text: '' } });
  const there = house([loses('Bath', 0.01), loses('Kitchen', 0.02), loses('Study', 0.005), loses('Terrace', 0.001)]);
  const [trouble, ...more] = words.troubles(there);
  assert.deepEqual(more, []);
  assert.equal(trouble.title, 'Four rooms lose packets');
  assert.equal(`${trouble.names} ${trouble.what}`, 'Bath, Kitchen and two more lose up to 2 in 100 packets.');
  assert.deepEqual(words.health(there.rooms[0]), { bold: 'Loses packets', wide: '1 in 100', narrow: 'loses 1 in 100', bad: true });
});

test('a room that is gone is missed for a while', () => {
  const now = 10_000;
  const gone = room({ presence: 'gone', health: null, health_age_s: null, last_seen_s: now - 130 });
  assert.equal(words.troubles(house([gone]), now)[0].title, 'Kitchen is not heard');
  assert.deepEqual(words.health(gone, { now }), { bold: 'Not heard', wide: 'for 2 minutes', narrow: 'not heard for 2 minutes', bad: true });
  assert.deepEqual(words.troubles(house([{ ...gone, last_seen_s: now - 90_000 }]), now), []);
});

test('a report of long ago is not current', () => {
  assert.equal(words.condition(room({ health_age_s: 5.1 })), 'stale');
  assert.equal(words.isHeard(room({ health_age_s: 5.1 })), false);
});

test('lost but repaired is said, and is no trouble', () => {
  const mended = room({ health: health({ packets_repaired: 2 }), trouble: { audible: false, text: 'x' } });
  assert.equal(words.health(mended).wide, '2 lost, both repaired');
  assert.equal(words.health(mended).bad, false);
  assert.deepEqual(words.troubles(house([mended])), []);
});

test('what nobody hears is told in the room alone, without its name', () => {
  const trouble = { audible: false, text: 'Kitchen: 3 % of packets were lost on the way and repaired.', help: 'Nothing can be heard of it.' };
  const mended = room({ trouble });
  assert.deepEqual(words.aside(mended), { text: '3 % of packets were lost on the way and repaired.', help: 'Nothing can be heard of it.' });
  assert.equal(words.aside(room({ trouble: { ...trouble, text: 'Kitchen hears its PTP grandmaster no more.' } })).text, 'Hears its PTP grandmaster no more.');
  assert.equal(words.condition(mended), 'step');
  for (const more of [{ trouble: null }, { trouble: { ...trouble, audible: true } }, { trouble, presence: 'gone' }, { trouble, health_age_s: 6 }]) {
    assert.equal(words.aside(room(more)), null);
  }
});

test('a new room, and a sender that is away', () => {
  const door = room({ presence: 'at_the_door', code: '123456' });
  assert.equal(words.headline(house([room(), door]), {}).title, 'A new room is at the door');
  const said = words.headline(house([room()]), { away: { since: 1000 }, now: 1180 });
  assert.equal(said.title, 'The sender is away');
  assert.match(said.text, /^Showing the last we know, from \d\d:\d\d, 3 minutes ago\./);
});

test('heads and ends of lines', () => {
  assert.equal(words.stream(line({ playback: { state: 'playing', title: 'Ground in D', artist: 'Trio', position_s: 72, duration_s: 234, can: [] } }), 2).time, '1:12 of 3:54');
  assert.equal(words.stream(line(), 0).who, 'Ready. Nobody is listening');
  assert.equal(words.stream(line({ enabled: false }), 1).who, 'Off. Its rooms are silent');
  const source = (kind, playback) => words.source(line({ origin: 'here', kind, playback: { can: [], ...playback } }));
  assert.equal(source('pipe', { state: 'playing', writer_ppm: -80.2 }), 'Pipe, playing; its clock runs 80 ppm slow');
  assert.equal(source('http', { state: 'failed', reason: 'it answers 404' }), 'Internet radio, failed: it answers 404');
  assert.equal(source('capture', { state: 'stalled' }), 'Line-in, stalled: no sound comes');
  assert.equal(source('command', { state: 'idle' }), 'Program, idle: it has nothing to play');
  assert.deepEqual(words.spread(line({ spread_us: 5.2 }), [room(), room()]), { figure: '6 µs', text: '2 rooms', bad: false });
  assert.deepEqual(words.spread(line(), [room()]), { figure: '1 room', text: 'on the clock' });
  assert.equal(words.spread(line(), []).text, 'no room');
  assert.equal(words.format('44100:24:1'), '44.1 kHz, 24 bit, mono');
  assert.equal(words.format('48000:16:6'), '48 kHz, 16 bit, 6 channels');
});

test('health in sentences', () => {
  const facts = Object.fromEntries(words.facts(room({ host: 'pi', health: health({ clock_sigma_us: 0.71, card_ppm: 38.2, rtt_us: 210, stamps: 'kernel', buffer_ms: 148.6 }) })).map(([name, parts]) => [name, parts.join('')]));
  assert.equal(facts.Losses, 'None in 2 hours');
  assert.equal(facts.Buffer, '148 ms ahead');
  assert.equal(facts.Clock, 'known to 0.8 µs, very good');
  assert.equal(facts.Card, 'runs 38 ppm fast, corrected');
  assert.equal(facts.Network, 'answers in 0.3 ms, stamped by the kernel');
});
