// axe-core in every view and state, in both themes and both sizes.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { DESKTOP, PHONE, launch, open } from './browser.mjs';
import { crossing, tonesHouse } from './tones.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** All rules as the page is, and contrast in the other theme. */
async function check(page, state) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
  const other = await page.evaluate(async (theme) => {
    document.documentElement.dataset.theme = theme;
    const { violations } = await window.axe.run(document, { runOnly: { type: 'rule', values: ['color-contrast'] } });
    delete document.documentElement.dataset.theme;
    return violations;
  }, page.other);
  violations.push(...other);
  const said = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `    ${html}\n    ${failureSummary}`).join('\n')}`);
  return said.map((words) => `${state}: ${words}`);
}

test('axe finds nothing in any view, state and theme', async () => {
  const [house, browser] = await Promise.all([tonesHouse({ streams: ['id = "demo"\nname = "Demo"\nsource = { type = "demo" }'] }), launch()]);
  const found = [];
  try {
    const [kitchen, study] = [await house.room('Kitchen'), await house.room('Study')];
    await house.ask('POST', '/api/v1/groups', { name: 'Downstairs', rooms: [kitchen.id, study.id] });
    await house.ask('POST', '/api/v1/scenes', { name: 'Dinner' });
    const views = { house: '#/', room: `#/room/${kitchen.id}`, queue: '#/queue/demo', library: '#/library?q=ground', group: '#/group/new', door: '#/door', 'sign-in': '#/sign-in' };
    const pages = [];
    for (const [dark, size] of [[false, DESKTOP], [true, PHONE]]) {
      const look = { look: `${dark ? 'dark' : 'light'}, ${size.width} wide`, other: dark ? 'light' : 'dark', small: size === PHONE };
      pages.push(Object.assign(await open(browser, house, { dark, size, still: true }), look));
    }
    for (const page of pages) {
      for (const [name, address] of Object.entries(views)) {
        // The plain forms are the same on a phone.
        if (page.small && ['group', 'door', 'library'].includes(name)) continue;
        await page.goto(`${house.url}/${address}`);
        await page.locator('main :is(h1, h2, input)').first().waitFor();
        found.push(...(await check(page, `${name}, ${page.look}`)));
      }
      await page.goto(`${house.url}/#/`);
      await crossing(page, 'Kitchen', 'alpha').waitFor();
    }
    await house.end('Study', 'SIGKILL');
    for (const page of pages) {
      await page.getByRole('heading', { name: 'Study is not heard' }).waitFor();
      found.push(...(await check(page, `something wrong, ${page.look}`)));
    }
    await house.end('sender', 'SIGKILL');
    for (const page of pages) {
      await page.getByRole('heading', { name: 'The sender is away' }).waitFor();
      found.push(...(await check(page, `sender away, ${page.look}`)));
    }
    assert.deepEqual(found, []);
  } finally {
    await browser.close();
    await house.stop();
  }
});
