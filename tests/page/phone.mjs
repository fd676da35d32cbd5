// The same console turned by a quarter.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, launch, open } from './browser.mjs';
import { becomes, crossing, tonesHouse } from './tones.mjs';

test('on a phone lines hang down, rooms are rows, and nothing sticks out', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const page = await open(browser, house, { size: PHONE, hasTouch: true, isMobile: true });
    await crossing(page, 'Kitchen', 'alpha').waitFor();
    const [alpha, beta, below] = await Promise.all(
      [crossing(page, 'Bath', 'alpha'), crossing(page, 'Bath', 'beta'), crossing(page, 'Kitchen', 'alpha')].map((x) => x.boundingBox()));
    assert.equal(alpha.y, beta.y);
    assert.equal(beta.x - alpha.x, 42);
    assert.equal(below.x, alpha.x);
    assert.ok(below.y > alpha.y);

    await crossing(page, 'Bath', 'beta').tap();
    await becomes(house, 'Bath', 'beta', (room) => room.stream === 'beta');

    const views = ['#/', `#/room/${(await house.room('Bath')).id}`, '#/queue/alpha', '#/library', '#/group/new', '#/door', '#/sign-in'];
    for (const view of views) {
      await page.goto(`${house.url}/${view}`);
      await page.locator('main h1, main h2, main input').first().waitFor();
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${view} sticks out by ${wide} px`);
      // A finger needs 44 px; beads lie closer across, in cells as high as their row.
      const small = await page.evaluate(() => [...document.querySelectorAll('button, .tabs a, .find')]
        .filter((node) => node.checkVisibility() && !node.matches('.text'))
        .map((node) => ({ box: node.getBoundingClientRect(), name: node.getAttribute('aria-label') ?? node.textContent }))
        .filter(({ box }) => Math.min(box.width, box.height) < 40)
        .map(({ name, box }) => `${name} ${box.width}x${box.height}`));
      assert.deepEqual(small, [], view);
    }

    await page.goto(`${house.url}/#/`);
    await crossing(page, 'Study', 'alpha').waitFor();
    const cover = page.locator('.stream .cover').first();
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    const scrolled = await page.evaluate(() => scrollY);
    if (scrolled > 150) assert.ok((await cover.boundingBox()).y >= 0, 'covers stay at the top while rooms scroll');
    assert.deepEqual(page.faults, []);
  } finally {
    await browser.close();
    await house.stop();
  }
});
