// Everything without a pointer.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, open } from './browser.mjs';
import { until } from './house.mjs';
import { becomes, tonesHouse } from './tones.mjs';

const focused = (page) => page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent);

/** Presses Tab until the focus is there. */
async function tabTo(page, wanted, key = 'Tab') {
  const way = [];
  for (let n = 0; n < 60; n++) {
    const at = await focused(page);
    way.push(at);
    if (wanted.test(at)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`never at ${wanted}: ${way.join(' | ')}`);
}

test('patch, volume, scene and rooms by the keyboard alone', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const page = await open(browser, house);
    await page.getByRole('radiogroup', { name: 'What plays in Kitchen' }).waitFor();

    // A room's crossings are one stop; arrows move between lines, Space patches.
    await tabTo(page, /^Alpha [^,:]*,/);
    await tabTo(page, /^Bath$/);
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('ArrowDown');
    assert.match(await focused(page), /^Beta/);
    await page.keyboard.press('ArrowUp');
    assert.match(await focused(page), /^Alpha/);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Space');
    await becomes(house, 'Bath', 'beta', (room) => room.stream === 'beta');
    assert.match(await focused(page), /^Beta/);

    await tabTo(page, /^Bath volume$/);
    await page.keyboard.press('ArrowUp');
    await becomes(house, 'Bath', '1 dB more', (room) => room.volume_db === -23);
    await page.keyboard.press('PageDown');
    await becomes(house, 'Bath', '6 dB less', (room) => room.volume_db === -29);
    await tabTo(page, /^Mute Bath$/);
    await page.keyboard.press('Enter');
    await becomes(house, 'Bath', 'muted', (room) => room.mute);

    await tabTo(page, /^Keep this one$/);
    await page.keyboard.press('Enter');
    await page.keyboard.type('Evening');
    await page.keyboard.press('Enter');
    await until('a scene', async () => (await house.state()).scenes.length === 1);

    await tabTo(page, /^Kitchen$/, 'Shift+Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Kitchen' }).waitFor();
    await tabTo(page, /^Stereo$/);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Space');
    await becomes(house, 'Kitchen', 'left', (room) => room.channels === 'left');
    await page.keyboard.press('Alt+ArrowLeft');
    await page.getByRole('radiogroup', { name: 'What plays in Kitchen' }).waitFor();
    assert.deepEqual(page.faults, []);
  } finally {
    await browser.close();
    await house.stop();
  }
});
