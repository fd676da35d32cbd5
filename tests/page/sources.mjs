// What the page says of sources, and the one that it drives: Debian's mpd behind a pipe.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { launch, open } from './browser.mjs';
import { House, freePort, until } from './house.mjs';

/** An MPD with two pieces, that writes into `fifo`. */
async function mpd(dir, port, fifo) {
  mkdirSync(join(dir, 'music'));
  for (const n of [1, 2]) {
    const tags = ['-metadata', `title=Étude ${n}`, '-metadata', 'artist=The Oscillators'];
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', `sine=frequency=${400 * n}:duration=100`, ...tags, join(dir, 'music', `${n}.flac`)]);
  }
  execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', 'color=c=teal:s=200x200:d=1', '-frames:v', '1', join(dir, 'music', 'cover.png')]);
  writeFileSync(join(dir, 'mpd.conf'), `music_directory "${dir}/music"\ndb_file "${dir}/db"\nlog_file "${dir}/mpd.log"\nbind_to_address "127.0.0.1"\nport "${port}"
audio_output {\n type "fifo"\n name "Unisono"\n path "${fifo}"\n format "44100:16:2"\n}\n`);
  const program = spawn('mpd', ['--no-daemon', join(dir, 'mpd.conf')], { stdio: 'ignore' });
  const mpc = (...words) => execFileSync('mpc', ['-q', '-p', String(port), ...words], { stdio: 'pipe' });
  await until('mpd', () => {
    try {
      return mpc('status') && true;
    } catch {
      return false;
    }
  });
  mpc('update', '--wait');
  mpc('add', '/');
  return { program, mpc };
}

test("MPD's title, artist and cover are shown and it is driven; each source says how it is", async () => {
  const dir = mkdtempSync(join(tmpdir(), 'unisono-mpd-'));
  const [port, fifo] = [await freePort(), join(dir, 'mpd.fifo')];
  const streams = [
    `id = "mpd"\nname = "Records"\nsource = { type = "pipe", path = "${fifo}", format = "44100:16:2", mpd = "127.0.0.1:${port}" }`,
    'id = "far"\nname = "Far"\nsource = { type = "http", url = "http://127.0.0.1:1/" }',
  ];
  const [house, browser] = await Promise.all([House.start({ streams }), launch()]);
  const { program, mpc } = await mpd(dir, port, fifo);
  try {
    mpc('play', '1');
    const page = await open(browser, house);
    await page.getByRole('heading', { name: 'Étude 1', level: 3 }).first().waitFor();
    await page.getByText('The Oscillators').first().waitFor();
    await until('its cover', () => page.locator('.stream img').evaluateAll((all) => all.some((image) => image.naturalWidth === 96 || image.naturalWidth === 200)));
    const state = () => String(execFileSync('mpc', ['-p', String(port), 'status']));
    await page.getByRole('button', { name: 'Pause Records' }).click();
    await until('it pauses', () => state().includes('[paused]'));
    await page.getByRole('button', { name: 'Play Records' }).click();
    await until('it plays', () => state().includes('[playing]'));
    await page.getByRole('button', { name: 'Next on Records' }).click();
    await page.getByRole('heading', { name: 'Étude 2', level: 3 }).first().waitFor();

    await page.goto(`${house.url}/#/queue/mpd`);
    await page.getByText(/^Pipe, playing/).waitFor();
    // To the beginning of the piece once that has begun, and from there to the one before.
    await until('the piece before', async () => {
      await page.getByRole('button', { name: 'Previous on Records' }).click();
      return page.getByRole('heading', { name: 'Étude 1', level: 3 }).first().waitFor({ timeout: 2000 }).then(() => true, () => false);
    });
    assert.equal(await page.getByRole('link', { name: 'FLAC' }).getAttribute('href'), '/streams/mpd.flac');
    await page.getByText('not in step with the rooms').waitFor();
    const file = await fetch(`${house.url}/streams/mpd.wav`);
    assert.deepEqual([file.headers.get('content-type'), file.headers.get('x-unisono-in-step')], ['audio/wav', 'no']);
    // The page that a browser makes around it may play it.
    assert.ok(file.headers.get('content-security-policy').includes("media-src 'self'"));
    await file.body.cancel();
    await page.goto(`${house.url}/#/queue/far`);
    await page.getByText(/^Internet radio, failed: /).waitFor();
    program.kill();
    await page.goto(`${house.url}/#/queue/mpd`);
    await page.getByText('Pipe, idle: it has nothing to play').waitFor();
    assert.deepEqual([page.faults, page.foreign], [[], []]);
  } finally {
    program.kill('SIGKILL');
    await browser.close();
    await house.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
