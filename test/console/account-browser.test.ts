import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { PeopleSite } from '../people/people-site.ts';
import { basic, openSite } from './account-site.ts';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';

test('keys and tokens are removed in a browser, with and without scripts', {
  skip: NO_OPENSSH || WITHOUT_CHROMIUM,
}, async () => {
  await using site = new PeopleSite();
  const { ann, post } = await openSite(site);
  await using browser = await openBrowser();
  const [username = '', password = ''] = ann.http.split(':');
  const address = '/-/console/account';
  const problems: string[] = [];
  for (const view of [VIEWS.light, VIEWS.dark, VIEWS.narrow]) {
    await using shown = await browser.newContext({ ...view, httpCredentials: { username, password } });
    const page = await shown.newPage();
    await page.goto(`${site.report.http}${address}`);
    problems.push(...(await layoutProblems(page, address)), ...(await axeViolations(page, address)));
  }
  for (const [view = {}, name, notice] of [
    [VIEWS['without scripts'], 'Remove key ann', 'The key was removed.'],
    [VIEWS.narrow, 'Revoke token ci-of-ann', 'The token was revoked.'],
  ] as const) {
    await using shown = await browser.newContext({ ...view, httpCredentials: { username, password } });
    const page = await shown.newPage();
    await page.goto(`${site.report.http}${address}`);
    const button = page.getByRole('button', { name, exact: true });

    await button.click();

    await page.getByRole('status').getByText(notice).waitFor();
    assert.equal(await button.count(), 0);
    if (view.javaScriptEnabled !== false) problems.push(...(await axeViolations(page, 'after a removal')));
  }
  assert.deepEqual(problems, []);
  assert.equal((await post(basic(ann.http), { key: ann.key })).status, 404);
});
