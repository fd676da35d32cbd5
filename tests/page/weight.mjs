// What the page weighs on the wire, and when something is to be seen.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, launch, open } from './browser.mjs';
import { crossing, tonesHouse } from './tones.mjs';

const BUDGET = 150_000;

test('the page is small, quick, and asks nobody else', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const page = await open(browser, house, { size: PHONE, path: '/manifest.webmanifest' });
    const wire = await page.context().newCDPSession(page);
    await wire.send('Network.enable');
    // A phone is about four times slower than a desktop.
    await wire.send('Emulation.setCPUThrottlingRate', { rate: 4 });
    let bytes = 0;
    let files = 0;
    wire.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength;
      files += 1;
    });
    await page.goto(`${house.url}/`);
    await crossing(page, 'Kitchen', 'alpha').waitFor();
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0].startTime);
    const whole = await page.evaluate(() => performance.now());
    console.log(`page: ${files} files, ${bytes} bytes on the wire; first paint after ${Math.round(paint)} ms, the house after ${Math.round(whole)} ms, processor slowed 4 times`);
    assert.ok(bytes < BUDGET, `${bytes} bytes`);
    assert.ok(paint < 5000, `first paint after ${paint} ms`);
    assert.deepEqual(page.foreign, []);

    const answer = await fetch(`${house.url}/`);
    const rules = answer.headers.get('content-security-policy');
    for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"]) assert.ok(rules.includes(rule), rules);
    const again = await fetch(`${house.url}/`, { headers: { 'if-none-match': answer.headers.get('etag') } });
    assert.equal(again.status, process.env.UNISONO_WEB ? 200 : 304);
  } finally {
    await browser.close();
    await house.stop();
  }
});
