// Patching, levels, groups, scenes, lines and rooms, by hand.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { launch, open } from './browser.mjs';
import { until } from './house.mjs';
import { amplitude, tail } from './sound.mjs';
import { ALPHA, BETA, becomes, crossing, packets, sounds, tonesHouse } from './tones.mjs';

/** A line with a tone of its own on either side. */
const [LEFT, RIGHT] = [600, 1500];
const SIDES = `id = "sides"\nname = "Sides"\nsource = { type = "command", command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "aevalsrc=0.1*sin(2*PI*${LEFT}*t)|0.1*sin(2*PI*${RIGHT}*t):s=48000", "-f", "s16le", "-"] }`;
/** The two notes of a chirp, in Hz (`receiver/src/mix.rs`). */
const CHIRP = [880, 1174.66];

let house;
let browser;
let page;

before(async () => {
  [house, browser] = await Promise.all([tonesHouse({ streams: [SIDES] }), launch()]);
  page = await open(browser, house);
  await crossing(page, 'Kitchen', 'alpha').waitFor();
});

after(async () => {
  await browser?.close();
  await house?.stop();
});

/** The middle of an element. */
async function middle(locator) {
  const box = await locator.boundingBox();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

async function drag(from, to, { cancel = false } = {}) {
  const [a, b] = [await middle(from), await middle(to)];
  await page.mouse.move(a.x, a.y);
  await page.mouse.down();
  await page.mouse.move(a.x, (a.y + b.y) / 2, { steps: 3 });
  await page.mouse.move(b.x, b.y, { steps: 3 });
  if (cancel) await page.keyboard.press('Escape');
  await page.mouse.up();
}

test('one tap sends another line to a room, and its card puts that out', async () => {
  await sounds(house, 'Kitchen', ALPHA);
  await crossing(page, 'Kitchen', 'beta').click();
  await until('the bead is there', async () => (await crossing(page, 'Kitchen', 'beta').getAttribute('aria-checked')) === 'true');
  await becomes(house, 'Kitchen', 'beta', (room) => room.stream === 'beta' && room.settled);
  await sounds(house, 'Kitchen', BETA);
  await sounds(house, 'Study', ALPHA);
});

test('a bead is dragged to another line; Escape, and letting go elsewhere, change nothing', async () => {
  await drag(crossing(page, 'Kitchen', 'beta'), crossing(page, 'Kitchen', 'alpha'), { cancel: true });
  await drag(crossing(page, 'Kitchen', 'beta'), crossing(page, 'Study', 'alpha'));
  assert.equal((await house.room('Kitchen')).stream, 'beta');
  await drag(crossing(page, 'Kitchen', 'beta'), crossing(page, 'Kitchen', 'alpha'));
  await becomes(house, 'Kitchen', 'alpha', (room) => room.stream === 'alpha');
  await sounds(house, 'Kitchen', ALPHA);
});

test('everywhere is one tap', async () => {
  const ring = page.getByRole('button', { name: `${house.lines.beta} everywhere` });
  await ring.click();
  await until('beta everywhere', async () => (await house.state()).rooms.every((room) => room.stream === 'beta'));
  await until('the ring is filled', async () => (await ring.getAttribute('aria-pressed')) === 'true');
  for (const name of ['Bath', 'Kitchen', 'Study']) await sounds(house, name, BETA);
});

test('a fader moves by hand, says its level and stops at the maximum', async () => {
  const kitchen = await house.room('Kitchen');
  await house.ask('PATCH', `/api/v1/rooms/${kitchen.id}`, { max_db: -6 });
  const fader = page.getByRole('slider', { name: 'Kitchen volume' });
  await until('the maximum on the page', async () => (await fader.getAttribute('aria-valuetext')).endsWith('at most −6 dB'));
  const box = await fader.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 1, { steps: 12 });
  await page.mouse.up();
  await until('−6 dB', async () => (await fader.getAttribute('aria-valuetext')) === '−6 dB, at most −6 dB');
  await becomes(house, 'Kitchen', '-6 dB', (room) => room.volume_db === -6);
  await page.getByRole('button', { name: 'Mute Kitchen' }).click();
  await becomes(house, 'Kitchen', 'muted', (room) => room.mute);
  await page.getByRole('button', { name: 'Mute Kitchen' }).click();
  await becomes(house, 'Kitchen', 'heard', (room) => !room.mute);
});

test('a change from elsewhere is seen without reload', async () => {
  const study = await house.room('Study');
  await house.ask('PATCH', `/api/v1/rooms/${study.id}`, { volume_db: -33 });
  await until('−33 dB', async () => (await page.getByRole('slider', { name: 'Study volume' }).getAttribute('aria-valuetext')).startsWith('−33 dB'));
});

test('a group has one fader that keeps its balance, and its rooms follow each other', async () => {
  await page.getByRole('link', { name: 'Group rooms' }).click();
  await page.getByLabel('Name').fill('Downstairs');
  await page.getByLabel('Kitchen').check();
  await page.getByLabel('Study').check();
  await page.getByRole('button', { name: 'Group them' }).click();
  const fader = page.getByRole('slider', { name: 'Downstairs volume' });
  await fader.waitFor();
  const before = [await house.room('Kitchen'), await house.room('Study')].map((room) => room.volume_db);
  await fader.focus();
  await page.keyboard.press('PageDown');
  await becomes(house, 'Kitchen', '6 dB less', (room) => room.volume_db === before[0] - 6);
  await becomes(house, 'Study', '6 dB less', (room) => room.volume_db === before[1] - 6);
  await crossing(page, 'Study', 'alpha').click();
  await becomes(house, 'Kitchen', 'follows', (room) => room.stream === 'alpha');
  assert.equal((await house.room('Bath')).stream, 'beta');
});

test('a scene keeps the patch and its levels, is recalled and forgotten', async () => {
  await page.getByRole('button', { name: 'Keep this one' }).click();
  await page.getByLabel('Name of the scene').fill('Dinner');
  await page.keyboard.press('Enter');
  const chip = page.getByRole('button', { name: 'Dinner' });
  await chip.waitFor();
  await until('the chip is filled', async () => (await chip.getAttribute('aria-pressed')) === 'true');
  await crossing(page, 'Bath', 'alpha').click();
  await until('the chip is empty', async () => (await chip.getAttribute('aria-pressed')) === 'false');
  await chip.click();
  await becomes(house, 'Bath', 'beta again', (room) => room.stream === 'beta');
  await until('the chip is filled', async () => (await chip.getAttribute('aria-pressed')) === 'true');
  await page.getByRole('button', { name: 'Forget one' }).click();
  await page.getByRole('button', { name: 'Forget Dinner' }).click();
  await until('no scene', async () => (await house.state()).scenes.length === 0);
});

test('a group is dissolved', async () => {
  await page.getByRole('link', { name: 'Downstairs' }).click();
  await page.getByRole('button', { name: 'Dissolve this group' }).click();
  await until('no group', async () => (await house.state()).groups.length === 0);
  await page.getByRole('slider', { name: 'Downstairs volume' }).waitFor({ state: 'detached' });
});

test('a line is paused; switched off it is no longer sent, and its rooms are silent', async () => {
  await page.getByRole('link', { name: `${house.lines.beta}:` }).click();
  assert.ok((await packets(house, 'beta')) > 0);
  await page.getByRole('button', { name: `Pause ${house.lines.beta}` }).click();
  await until('paused', async () => (await house.ask('GET', '/api/v1/streams/beta/playback')).state === 'paused');
  await page.getByRole('button', { name: `Play ${house.lines.beta}` }).waitFor();
  // It stays so, whatever the hub said just before.
  for (let look = 0; look < 20; look += 1) {
    assert.equal(await page.getByRole('button', { name: `Play ${house.lines.beta}` }).count(), 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await page.getByRole('button', { name: `Play ${house.lines.beta}` }).click();
  await until('playing', async () => (await house.ask('GET', '/api/v1/streams/beta/playback')).state === 'playing');
  await page.getByRole('button', { name: 'Switch this line off' }).click();
  await until('off', async () => !(await house.ask('GET', '/api/v1/streams/beta')).enabled);
  await until('silence on the wire', async () => (await packets(house, 'beta')) === 0);
  await page.goBack();
  await page.getByText('Off. Its rooms are silent').waitFor();
  await page.getByRole('button', { name: `Switch ${house.lines.beta} on` }).click();
  await until('on', async () => (await house.ask('GET', '/api/v1/streams/beta')).enabled);
  await sounds(house, 'Bath', BETA);
});

test('the channels that a room plays are what its card puts out', async () => {
  const study = await house.room('Study');
  await house.ask('PATCH', `/api/v1/rooms/${study.id}`, { volume_db: -10 });
  await page.goto(`${house.url}/#/room/${study.id}`);
  await page.getByRole('radio', { name: 'Sides' }).click();
  const heard = (channel) => {
    const samples = tail(house.record('Study'), 0.3, channel);
    const [left, right] = [LEFT, RIGHT].map((frequency) => amplitude(samples, frequency));
    const is = (level) => level > 5e-3;
    return is(left) ? (is(right) ? 'both' : 'left') : is(right) ? 'right' : 'nothing';
  };
  for (const [name, wanted] of [['Stereo', 'left, right'], ['Left', 'left, left'], ['Right', 'right, right'], ['Mono', 'both, both'], ['Stereo', 'left, right']]) {
    await page.getByRole('radiogroup', { name: 'Channels' }).getByRole('radio', { name }).click();
    await becomes(house, 'Study', name, (room) => room.channels === name.toLowerCase());
    await until(`${name}: ${wanted}`, () => [heard(0), heard(1)].join(', ') === wanted);
  }
  await page.getByRole('radio', { name: house.lines.alpha }).click();
  await becomes(house, 'Study', 'alpha', (room) => room.stream === 'alpha' && room.settled);
  await page.goto(`${house.url}/#/`);
});

test('a room has its own address, and everything about it is there', async () => {
  await page.getByRole('link', { name: 'Study' }).click();
  await page.getByRole('heading', { level: 1, name: 'Study' }).waitFor();
  await page.getByRole('radiogroup', { name: 'Channels' }).getByRole('radio', { name: 'Mono' }).click();
  await becomes(house, 'Study', 'mono', (room) => room.channels === 'mono');
  for (let n = 1; n <= 3; n++) {
    await page.getByRole('button', { name: 'Later' }).click();
    await becomes(house, 'Study', 'trim', (room) => room.trim_us === n * 100);
  }
  await page.getByText('As if the loudspeaker stood 10 cm further away.').waitFor();
  await page.getByRole('button', { name: 'Make it chirp' }).click();
  await page.getByRole('status').getByText('Study chirps.').waitFor();
  const chirps = (name, seconds) => CHIRP.map((note) => amplitude(tail(house.record(name), seconds), note));
  await until('the chirp in Study', () => chirps('Study', 1).every((level) => level > 0.02));
  for (const other of ['Bath', 'Kitchen']) assert.ok(chirps(other, 2).every((level) => level < 1e-3), `${other} chirps: ${chirps(other, 2)}`);
  await page.getByRole('img', { name: /^Offset stays within/ }).waitFor();
  for (const fact of ['Losses', 'Buffer', 'Clock', 'Card', 'Network']) await page.getByRole('term').getByText(fact).waitFor();
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByLabel('Name of the room').fill('Library');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Library' }).waitFor();
  assert.match(page.url(), /#\/room\/\w+/);
  await page.reload();
  await page.getByRole('heading', { level: 1, name: 'Library' }).waitFor();
  await page.getByRole('radio', { name: 'Nothing' }).click();
  await page.getByText('Plays nothing.').waitFor();
  await page.getByRole('radio', { name: house.lines.alpha }).click();
  await becomes(house, 'Library', 'alpha', (room) => room.stream === 'alpha' && room.settled);
  await page.goBack();
  await crossing(page, 'Library', 'alpha').waitFor();
});

test('what was lost and repaired is said in the room, and is no alarm', async () => {
  // Nothing is lost on loopback: the hub's word is put in.
  const told = await house.state();
  const kitchen = told.rooms.find(({ name }) => name === 'Kitchen');
  kitchen.trouble = { audible: false, text: 'Kitchen: 3 % of packets were lost on the way and repaired.', help: 'Nothing can be heard of it.' };
  const other = await open(browser, house, { path: '/manifest.webmanifest' });
  await other.route('**/api/v1/events', (route) => route.fulfill({ contentType: 'text/event-stream', body: `event: house\ndata: ${JSON.stringify(told)}\n\n` }));
  await other.goto(`${house.url}/#/room/${kitchen.id}`);
  await other.getByText('3 % of packets were lost on the way and repaired. Nothing can be heard of it.', { exact: true }).waitFor();
  assert.equal(await other.locator('.room-view.bad').count(), 0);
  await other.context().close();
});

test('a room that the hub refuses returns with a sentence', async () => {
  await page.route('**/api/v1/subscriptions/**', (route) =>
    route.fulfill({ status: 409, contentType: 'application/problem+json', body: JSON.stringify({ detail: 'there is no stream "beta"' }) }), { times: 1 });
  const was = (await house.room('Kitchen')).stream;
  await crossing(page, 'Kitchen', was === 'beta' ? 'alpha' : 'beta').click();
  await page.getByRole('status').getByText('There is no stream "beta".').waitFor();
  await until('the bead is back', async () => (await crossing(page, 'Kitchen', was).getAttribute('aria-checked')) === 'true');
});

test('no request went anywhere else, and nothing went wrong in the page', () => {
  assert.deepEqual(page.foreign, []);
  assert.deepEqual(page.faults, []);
});
