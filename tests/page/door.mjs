// Who may look, who may change, and a new room at the door.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { launch, open } from './browser.mjs';
import { until } from './house.mjs';
import { becomes, crossing, tonesHouse } from './tones.mjs';

test('a guest looks; changing asks for a sign-in, which goes on where it was', async () => {
  const [house, browser] = await Promise.all([tonesHouse(), launch()]);
  try {
    const page = await open(browser, house, { guest: true });
    await crossing(page, 'Kitchen', 'beta').click();
    await page.getByRole('heading', { name: 'Sign in to change that' }).waitFor();
    const field = page.getByLabel('Sign-in link');
    await field.fill(`${house.url}/sign-in?token=${'0'.repeat(64)}`);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('This is not the latest sign-in link.').waitFor();
    assert.ok(await field.evaluate((node) => node === document.activeElement));
    assert.equal((await house.room('Kitchen')).stream, 'alpha');
    await field.fill(house.link);
    await page.keyboard.press('Enter');
    await crossing(page, 'Kitchen', 'beta').click();
    await becomes(house, 'Kitchen', 'beta', (room) => room.stream === 'beta');

    // A password is set on the page, and opens it elsewhere.
    await page.goto(`${house.url}/#/door`);
    await page.getByLabel('House password').fill('ground in d minor');
    await page.getByRole('button', { name: 'Set it' }).click();
    await page.getByText('There is a house password.').waitFor();
    const other = await open(browser, house, { guest: true, path: '/#/sign-in' });
    await other.getByLabel('House password, or the sign-in link').fill('ground in d minor');
    await other.keyboard.press('Enter');
    await crossing(other, 'Kitchen', 'alpha').click();
    await becomes(house, 'Kitchen', 'alpha', (room) => room.stream === 'alpha');

    const old = await open(browser, house, { guest: true, path: `/sign-in?token=${'1'.repeat(64)}` });
    await old.getByRole('alert').getByText('This link is not the latest one.').waitFor();
    for (const each of [page, other, old]) assert.deepEqual([each.faults, each.foreign], [[], []]);
  } finally {
    await browser.close();
    await house.stop();
  }
});

test('a house with closed reading shows nothing before the sign-in', async () => {
  const house = await tonesHouse({ http: 'reading = "closed"' });
  const browser = await launch();
  try {
    const page = await open(browser, house, { guest: true });
    await page.getByRole('heading', { name: 'This house is locked' }).waitFor();
    assert.equal(await page.getByText('Kitchen').count(), 0);
    await page.goto(house.link);
    await crossing(page, 'Kitchen', 'alpha').waitFor();
  } finally {
    await browser.close();
    await house.stop();
  }
});

test('a new room waits at the door with its code; it is let in, or turned away', async () => {
  const [house, browser] = await Promise.all([tonesHouse({ rooms: [], hub: 'auto_approve = "never"' }), launch()]);
  try {
    const page = await open(browser, house);
    await page.getByRole('heading', { name: 'No room yet' }).waitFor();
    house.startRoom({ name: 'Attic', stream: 'alpha' });
    const door = page.getByRole('article', { name: 'New room Attic' });
    await door.waitFor();
    await page.getByRole('heading', { name: 'A new room is at the door' }).waitFor();
    const code = (await door.locator('.code').textContent()).replace(' ', '');
    assert.match(code, /^\d{6}$/);
    await until('the same code in the log of the room', () => house.log('Attic').includes(code));
    await door.getByRole('button', { name: 'Make it chirp' }).click();
    await page.getByRole('status').getByText('Attic chirps.').waitFor();
    await door.getByRole('button', { name: 'Let it in' }).click();
    await crossing(page, 'Attic', 'beta').click();
    await becomes(house, 'Attic', 'beta', (room) => room.stream === 'beta' && room.settled);

    house.startRoom({ name: 'Cellar', stream: 'alpha' });
    const cellar = page.getByRole('article', { name: 'New room Cellar' });
    await cellar.waitFor();
    page.once('dialog', (dialog) => dialog.accept());
    await cellar.getByRole('button', { name: 'Turn away' }).click();
    await cellar.waitFor({ state: 'detached' });
    await until('the room has knocked again', () => /Cellar.*turned away/.test(house.log('sender').replaceAll('\u001b', '')));
    assert.equal(await cellar.count(), 0);

    await house.end('Attic');
    await page.getByRole('heading', { name: 'Attic is not heard' }).waitFor();
    await page.getByRole('link', { name: 'Look closer at Attic' }).click();
    page.once('dialog', (dialog) => dialog.accept());
    await page.getByRole('button', { name: 'Forget this room' }).click();
    await until('no room', async () => !(await house.state()).rooms.some((room) => room.name === 'Attic'));
    await page.getByRole('heading', { name: 'No room yet' }).waitFor();
    assert.deepEqual(page.faults, []);
  } finally {
    await browser.close();
    await house.stop();
  }
});
