// What the page weighs on the wire, and when something is to be seen.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PHONE, launch, open } from './browser.mjs';
import { crossing, tonesHouse } from './tones.mjs';

const BUDGET = 150_000;
const PAINT_MS = 1000;
const LOADS = 3;
/** What `WORK` takes where the budget of the first paint is for, in milliseconds: a slower machine is given more. */
const WORK_MS = 250;
/** Arithmetic of a fixed amount; the milliseconds that it took. */
const WORK = () => {
  const begun = performance.now();
  let x = 1;
  for (let n = 0; n < 10_000_000; n += 1) x = (x * 31 + n) | 0;
  return performance.now() - begun + (x === 0 ? 1 : 0);
};

/** Loads the page in a new browser profile that has nothing kept. */
async function load(browser, house) {
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
  const work = await page.evaluate(WORK);
  assert.deepEqual(page.foreign, []);
  await page.context().close();
  return { bytes, files, paint, whole, work };
}

test('the page is small, quick, and asks nobody else', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const loads = [];
    for (let count = 0; count < LOADS; count += 1) loads.push(await load(browser, house));
    const middle = (key) => loads.map((load) => load[key]).sort((a, b) => a - b)[LOADS >> 1];
    const [files, bytes, paint, whole, work] = ['files', 'bytes', 'paint', 'whole', 'work'].map(middle);
    console.log(`page: ${files} files, ${bytes} bytes on the wire (budget ${BUDGET}); first paint after ${Math.round(paint)} ms (budget ${PAINT_MS} ms), the house after ${Math.round(whole)} ms, processor slowed 4 times; medians of ${LOADS} loads, after each ${Math.round(work)} ms of arithmetic`);
    assert.ok(bytes < BUDGET, `${bytes} bytes`);
    // Twice the budget, and more on a slower machine: it may be busy with other things.
    const slower = Math.max(1, work / WORK_MS);
    assert.ok(paint < 2 * slower * PAINT_MS, `first paint after ${paint} ms, on a machine ${slower.toFixed(1)} times slower`);

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
