// A real, headless Chromium that may talk to the house alone.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

import { PATIENCE_MS } from './house.mjs';

const PROGRAM = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));

/** Sizes that the page is looked at. */
export const DESKTOP = { width: 1440, height: 940 };
export const PHONE = { width: 390, height: 844 };

export async function launch() {
  if (!PROGRAM) throw new Error('no Chromium; ./test installs it, or name one in CHROMIUM');
  // The sandbox needs rights that a container has not; only our own page is opened.
  return chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'] });
}

/**
 * A page of a new profile, signed in unless `guest`. `page.foreign` lists requests to other hosts, `page.faults` what
 * went wrong in it: both must stay empty.
 */
export async function open(browser, house, { size = DESKTOP, dark = false, still = false, guest = false, path = '/', ...more } = {}) {
  const context = await browser.newContext({
    viewport: size, colorScheme: dark ? 'dark' : 'light', reducedMotion: still ? 'reduce' : 'no-preference', ...more,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  page.foreign = [];
  page.faults = [];
  page.on('request', (request) => {
    const address = new URL(request.url());
    if (address.protocol.startsWith('http') && address.origin !== house.url) page.foreign.push(request.url());
  });
  page.on('pageerror', (error) => page.faults.push(String(error.stack ?? error)));
  page.on('console', (message) => {
    const text = message.text();
    // A sender that is away is part of some tests.
    if (message.type() === 'error' && !/Failed to load resource|ERR_CONNECTION/.test(text)) page.faults.push(text);
  });
  if (!guest) await context.request.get(house.link);
  await page.goto(house.url + path);
  return page;
}
