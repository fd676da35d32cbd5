// The library: search, albums, and the queue of a line.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';

import { launch, open } from './browser.mjs';
import { House, until } from './house.mjs';
import { PIECES, music } from './music.mjs';

test('a piece is found, played, queued, moved and taken out; an album has its cover', async () => {
  const dir = music();
  const line = (id, name) => `id = "${id}"\nname = "${name}"\nsource = { type = "library", path = "${dir}", shuffle = false }`;
  const [house, browser] = await Promise.all([House.start({ streams: [line('music', 'Music')], rooms: [{ name: 'Kitchen', stream: 'music' }] }), launch()]);
  try {
    await until('the folder is read', async () => (await house.ask('GET', '/api/v1/library')).tracks === PIECES.length);
    const page = await open(browser, house, { path: '/#/library' });
    await page.getByRole('link', { name: /Six airs/ }).waitFor();
    // As small as it is shown.
    await until('the albums have covers', () => page.locator('.albums img').evaluateAll((all) => all.length === 2 && all.every((image) => image.naturalWidth === 320)));
    await page.getByRole('searchbox').fill('evening');
    await page.getByText('1 of 3 titles match.').waitFor();
    await page.getByRole('button', { name: 'Play Evening air now' }).click();
    await until('it plays', async () => (await house.ask('GET', '/api/v1/streams/music/playback')).title === 'Evening air');
    await page.getByRole('heading', { name: 'Evening air', level: 3 }).first().waitFor();

    await page.getByRole('searchbox').fill('');
    await page.getByRole('link', { name: /Music for small rooms/ }).click();
    await page.getByRole('heading', { level: 2, name: 'Music for small rooms' }).waitFor();
    await page.getByRole('button', { name: 'Add Music for small rooms to the queue' }).click();
    const queued = () => house.ask('GET', '/api/v1/streams/music/queue').then((list) => list.filter(({ entry }) => entry).map(({ title }) => title));
    await until('both are queued', async () => (await queued()).join() === 'Ground in D,Canon at the fifth');
    await page.getByRole('searchbox').fill('evening');
    await page.getByRole('button', { name: 'Play Evening air next' }).click();
    await until('it is the next', async () => (await queued()).join() === 'Evening air,Ground in D,Canon at the fifth');
    await page.getByRole('button', { name: 'Take Evening air out' }).click();
    await until('it is out again', async () => (await queued()).length === 2);

    await page.goto(`${house.url}/#/queue/music`);
    const grip = page.getByRole('button', { name: /^Move Canon at the fifth/ });
    await grip.focus();
    await page.keyboard.press('ArrowUp');
    await until('it is moved', async () => (await queued()).join() === 'Canon at the fifth,Ground in D');
    await page.getByRole('button', { name: 'Take Ground in D out' }).click();
    await until('it is out', async () => (await queued()).join() === 'Canon at the fifth');
    await page.getByRole('button', { name: 'Play Canon at the fifth now' }).click();
    await until('it plays', async () => (await house.ask('GET', '/api/v1/streams/music/playback')).title === 'Canon at the fifth');

    const position = page.getByRole('slider', { name: 'Position in Canon at the fifth' });
    await position.waitFor();
    await position.focus();
    await until('it is further on', async () => {
      await page.keyboard.press('PageUp');
      return (await house.ask('GET', '/api/v1/streams/music/playback')).position_s > 60;
    });
    await page.getByRole('button', { name: 'Shuffle' }).click();
    await until('shuffled', async () => (await house.ask('GET', '/api/v1/streams/music/playback')).queue.shuffle);
    await until('the cover in the files is shown', () => page.locator('.now-card img').evaluateAll((all) => all.some((image) => image.naturalWidth === 500)));
    await shelves(page, queued);
    await progress(page);
    assert.deepEqual([page.faults, page.foreign], [[], []]);
  } finally {
    await browser.close();
    await house.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Artists, folders and playlists are opened and queued. */
async function shelves(page, queued) {
  const tab = (name) => page.getByRole('navigation', { name: 'Shelves' }).getByRole('link', { name }).click();
  const heading = (name) => page.getByRole('heading', { level: 2, name }).waitFor();
  await page.goto(page.url().replace(/#.*/, '#/library'));
  await tab('Artists');
  await page.getByText('2 artists.').waitFor();
  await page.getByRole('link', { name: 'Chamber trio' }).click();
  await heading('Chamber trio');
  await page.getByRole('heading', { level: 3, name: 'Canon at the fifth' }).first().waitFor();
  await page.getByRole('link', { name: /Music for small rooms/ }).waitFor();

  await tab('Folders');
  await page.locator('.rows a').first().click();
  await page.getByRole('link', { name: 'Six airs' }).click();
  await heading('Six airs');
  await page.getByRole('button', { name: 'Add Six airs to the queue' }).click();
  await until('the folder is queued', async () => (await queued()).at(-1) === 'Evening air');
  await page.getByRole('link', { name: 'One up' }).click();

  await tab('Playlists');
  await page.getByRole('link', { name: 'Evening' }).click();
  await heading('Evening');
  await page.getByText('One of its entries is not in the library.').waitFor();
  assert.equal(await page.locator('.results .tracks:not(.rows) li').count(), 3);
  const before = (await queued()).length;
  await page.getByRole('button', { name: 'Add Evening to the queue' }).click();
  await until('the playlist is queued', async () => (await queued()).length === before + 3);
}

/** While the folders are read, what is said of that grows by itself, and ends with them. */
async function progress(page) {
  let looks = 0;
  await page.route('**/api/v1/library', async (route) => {
    const answer = await (await route.fetch()).json();
    looks += 1;
    await route.fulfill({ json: { ...answer, scan: { ...answer.scan, running: looks < 3, read: 10 * looks } } });
  });
  await page.goto(page.url().replace(/#.*/, '#/library'));
  await page.getByText('The folders are being read: 10 pieces so far.').waitFor();
  await page.getByText('The folders are being read: 20 pieces so far.').waitFor();
  await page.getByText('3 titles.').waitFor();
  assert.equal(looks, 3);
  await page.unroute('**/api/v1/library');
}
