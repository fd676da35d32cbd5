// The sender goes and comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, open } from './browser.mjs';
import { until } from './house.mjs';
import { BETA, becomes, crossing, sounds, tonesHouse } from './tones.mjs';

test('a lost sender leaves the last known house in grey, and the page heals by itself', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const page = await open(browser, house);
    await crossing(page, 'Kitchen', 'alpha').waitFor();
    await page.evaluate(() => navigator.serviceWorker.ready);
    await house.end('sender', 'SIGKILL');
    await page.getByRole('heading', { name: 'The sender is away' }).waitFor();
    assert.ok(await page.locator('.console').evaluate((node) => node.inert));
    assert.equal(await page.locator('.room').count(), 3);
    await page.getByText(/^Showing the last we know, from \d\d:\d\d/).waitFor();

    // Opened anew meanwhile, the page comes from the service worker and says the same.
    await page.reload();
    await page.getByRole('heading', { name: 'The sender is away' }).waitFor();
    assert.equal(await page.locator('.room').count(), 3);
    assert.ok(await page.locator('.console').evaluate((node) => node.inert));

    await house.startSender();
    await page.getByRole('heading', { name: 'The sender is away' }).waitFor({ state: 'detached' });
    await until('the console is back', async () => !(await page.locator('.console').evaluate((node) => node.inert)));
    await until('rooms are linked again', async () => (await house.state()).rooms.every((room) => room.presence === 'here'));
    await crossing(page, 'Kitchen', 'beta').click();
    await becomes(house, 'Kitchen', 'beta', (room) => room.stream === 'beta');
    await sounds(house, 'Kitchen', BETA);
    assert.deepEqual([page.faults, page.foreign], [[], []]);
  } finally {
    await browser.close();
    await house.stop();
  }
});
