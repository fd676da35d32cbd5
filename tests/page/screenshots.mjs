// The screenshots of docs/images, from the real program: `node screenshots.mjs [DIRECTORY]`. Takes six minutes, so that
// what is shown of the last five is real. Needs ffmpeg for a little music, and pngquant to make the pictures small.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { DESKTOP, PHONE, launch, open } from './browser.mjs';
import { House, until } from './house.mjs';

const OUT = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '../../docs/images');

/** A phone that shows the whole house at once. */
const TALL = { ...PHONE, height: 1340 };

const PIECES = {
  chamber: [['Ground in D', 'Chamber trio', 'Music for small rooms', 234], ['Canon at the fifth', 'Chamber trio', 'Music for small rooms', 185], ['Round for four', 'House choir', 'Rounds', 131], ['Slow march', 'Chamber trio', 'Music for small rooms', 252]],
  evening: [['Evening air', 'String quartet', 'Six airs', 203], ['Second air', 'String quartet', 'Six airs', 176]],
};

const ROOMS = [
  ['Kitchen', 'radio', 38, -14, -2], ['Dining room', 'radio', -31, -18, -2], ['Living room', 'radio', 71, -10, -1],
  ['Bedroom', 'evening', 12, -27, -6], ['Bathroom', 'evening', -55, -23, -6], ['Study', 'demo', 20, -22, -2], ['Terrace', 'radio', -8, -7, -1],
];

function music(dir) {
  for (const [album, pieces] of Object.entries(PIECES)) {
    mkdirSync(join(dir, album), { recursive: true });
    pieces.forEach(([title, artist, name, seconds], at) => {
      const tags = Object.entries({ title, artist, album: name, track: at + 1 }).flatMap(([key, value]) => ['-metadata', `${key}=${value}`]);
      execFileSync('ffmpeg', ['-v', 'error', '-y', '-f', 'lavfi', '-i', `sine=frequency=${220 + 40 * at}:duration=${seconds}`, ...tags, join(dir, album, `${at + 1}.flac`)]);
    });
  }
}

const dir = mkdtempSync(join(tmpdir(), 'unisono-music-'));
mkdirSync(OUT, { recursive: true });
music(dir);
const library = (id, name, path) => `id = "${id}"\nname = "${name}"\nsource = { type = "library", path = "${join(dir, path)}" }`;
// Another sender of the house, which this one only hears of.
const other = await House.start({ streams: ['id = "stage"\nname = "Stage box"\nsource = { type = "tone", frequency = 440.0, level_db = -30.0 }'] });
const house = await House.start({
  streams: [
    library('radio', 'House radio', 'chamber'), library('evening', 'Evening music', 'evening'),
    'id = "demo"\nname = "Demo"\nsource = { type = "demo" }',
    `id = "mpd"\nname = "MPD"\nsource = { type = "pipe", path = "${join(dir, 'mpd.fifo')}", format = "44100:16:2" }`,
  ],
  // Cards that tell their position in coarse steps, as real ones do.
  rooms: ROOMS.map(([name, stream, ppm, volume]) => ({ name, stream, ppm, volume, device: `sim:ppm=${ppm},grain=192` })),
  hub: 'auto_approve = "same-host"',
});
const browser = await launch();

async function shoot(name, { path = '/', ready, size = DESKTOP, ...more } = {}) {
  const page = await open(browser, house, { size, path, deviceScaleFactor: size === DESKTOP ? 1.5 : 2, ...more });
  await ready?.(page);
  await page.waitForTimeout(1500);
  const file = join(OUT, `${name}.png`);
  await page.screenshot({ path: file });
  execFileSync('pngquant', ['--force', '--skip-if-larger', '--speed', '1', '--output', file, '128', file]);
  await page.context().close();
}

try {
  const rooms = Object.fromEntries((await house.state()).rooms.map((room) => [room.name, room]));
  for (const [name, , , , max] of ROOMS) await house.ask('PATCH', `/api/v1/rooms/${rooms[name].id}`, { max_db: max });
  await house.ask('PATCH', `/api/v1/rooms/${rooms.Bathroom.id}`, { mute: true });
  const ids = (...names) => names.map((name) => rooms[name].id);
  await house.ask('POST', '/api/v1/groups', { name: 'Downstairs', rooms: ids('Kitchen', 'Dining room', 'Living room') });
  await house.ask('POST', '/api/v1/groups', { name: 'Upstairs', rooms: ids('Bedroom', 'Bathroom') });
  for (const name of ['Morning', 'Night', 'Whole house']) {
    await house.ask('PATCH', `/api/v1/rooms/${rooms.Study.id}`, { volume_db: -20 - name.length });
    await house.ask('POST', '/api/v1/scenes', { name });
  }
  await house.ask('PATCH', `/api/v1/rooms/${rooms.Study.id}`, { volume_db: -22 });
  await house.ask('POST', '/api/v1/scenes', { name: 'Dinner' });
  await house.settled(ROOMS.length);
  const heading = (words) => (page) => page.getByRole('heading', { level: 1, name: words }).waitFor();
  const step = heading(/In step/);

  await until('five minutes of music', async () => (await house.state()).rooms.every(({ health }) => health?.uptime_s > 300), 360_000);
  await shoot('desktop-light', { ready: step });
  await shoot('desktop-dark', { ready: step, dark: true });
  await shoot('phone', { ready: step, size: TALL, dark: true });
  await shoot('library', { path: '/#/library', ready: (page) => page.getByText('Music for small rooms').first().waitFor() });
  await shoot('queue', { path: '/#/queue/radio', ready: (page) => page.getByRole('heading', { name: 'Then' }).waitFor(), dark: true });
  await shoot('room', { path: `/#/room/${rooms.Kitchen.id}`, ready: heading('Kitchen'), dark: true });

  await house.end('Bathroom', 'SIGKILL');
  await shoot('something-wrong', { ready: heading('Bathroom is not heard') });
  const page = await open(browser, house, { deviceScaleFactor: 1.5 });
  await page.waitForTimeout(2000);
  await house.end('sender', 'SIGKILL');
  await heading('The sender is away')(page);
  const file = join(OUT, 'sender-away.png');
  await page.screenshot({ path: file });
  execFileSync('pngquant', ['--force', '--skip-if-larger', '--speed', '1', '--output', file, '128', file]);
} finally {
  await browser.close();
  await house.stop();
  await other.stop();
  rmSync(dir, { recursive: true, force: true });
}
