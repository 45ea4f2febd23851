import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '#testkit/until';
import { isArchived, openArchived, PATH } from './archived-console.ts';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';

test('the page is accessible in a browser, and restores a state', { skip: WITHOUT_CHROMIUM }, async () => {
  await using archived = await openArchived();
  const { console } = archived;
  await until(() => isArchived(console));
  await using browser = await openBrowser();
  const httpCredentials = { username: 'boss', password: 'boss' };
  for (const view of [VIEWS.light, VIEWS.dark, VIEWS.narrow]) {
    await using shown = await browser.newContext({ ...view, httpCredentials });
    const page = await shown.newPage();
    await page.goto(`${console.url}${PATH}`);
    assert.deepEqual(await layoutProblems(page, PATH), []);
    assert.deepEqual(await axeViolations(page, PATH), []);
  }
  await using context = await browser.newContext({ httpCredentials });
  const page = await context.newPage();
  await page.goto(`${console.url}/repository/team/a.git/-/files`);
  await page.getByRole('link', { name: 'Archived', exact: true }).click();
  await page.getByLabel('Name of the restored repository').fill('team/again');
  await page.getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('heading', { name: 'team/again' }).waitFor();
});
