import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';
import { openLfs, PATH } from './lfs-console.ts';

test('the list of files of Git LFS is accessible in a browser', { skip: WITHOUT_CHROMIUM }, async () => {
  await using site = await openLfs();
  await using browser = await openBrowser();
  const httpCredentials = { username: 'ann', password: 'secret' };
  const problems: string[] = [];
  for (const view of [VIEWS.light, VIEWS.dark, VIEWS.narrow]) {
    await using shown = await browser.newContext({ ...view, httpCredentials });
    const page = await shown.newPage();
    for (const path of ['lfs', 'files/film.mp4']) {
      await page.goto(`${site.console.url}${PATH}/${path}`);
      problems.push(...(await layoutProblems(page, path)), ...(await axeViolations(page, path)));
    }
    await page.getByRole('link', { name: 'LFS', exact: true }).click();
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.getByRole('link', { name: 'many/129' }).waitFor();
  }
  assert.deepEqual(problems, []);
});
