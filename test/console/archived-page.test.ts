import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';
import { type OpenedConsole, openConsole } from './open-console.ts';

const PATH = '/repository/team/a.git/-/archived';
const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });
const BOSS = basic('boss:boss');
const ANN = basic('ann:ann');

/** Reports whether all changes of the repository are archived. */
async function isArchived(console: OpenedConsole): Promise<boolean> {
  const { archives } = await console.json('/overview', BOSS);
  return archives[0].waitingChanges === 0 && (await console.json(PATH, BOSS)).generations?.length >= 2;
}

const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

/** Sends the form that an administrator sees, whoever sends it. */
async function send(
  console: OpenedConsole,
  fields: Record<string, string>,
  headers: Record<string, string>,
): Promise<{ readonly status: number; readonly to: string | null; readonly text: string }> {
  const { text } = await console.get(PATH, BOSS);
  const [, address = PATH] = /method="post" action="\/-\/console([^"]+)"/.exec(text) ?? [];
  const body = new URLSearchParams(fields);
  const url = `${console.url}${address.replaceAll('&amp;', '&')}`;
  const response = await fetch(url, { method: 'POST', body, headers, redirect: 'manual' });
  return { status: response.status, to: response.headers.get('location'), text: await response.text() };
}

/** A server whose storage is archived, with a repository of one commit. */
async function openArchived(content = 'text\n') {
  const directory = makeScratchDirectory('console-archive');
  const authFile = join(directory, 'users');
  writeFileSync(authFile, `boss admin sha256:${sha256('boss')}\nann write sha256:${sha256('ann')} team\n`);
  const archive = pathToFileURL(join(directory, 'bucket')).href;
  const console = await openConsole({
    authFile,
    config: (root) => ({
      storage: [{ name: 'default', path: join(root, 'default'), archive }],
      lfs: { url: pathToFileURL(join(directory, 'lfs')).href, refuse_missing: false },
    }),
  });
  const { connection } = console.gitaly;
  const repository = { storageName: 'default', relativePath: 'team/a.git', glRepository: 'p' };
  await connection.repository.createRepository({ repository, defaultBranch: Buffer.from('main') });
  const commit = { repository, user: USER, branchName: Buffer.from('main'), commitMessage: Buffer.from('c') };
  await commitFiles(connection, commit, [{ type: 'create', path: 'file', content }]);
  return {
    console,
    [Symbol.asyncDispose]: async () => {
      await console[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

test('administrators see the archived states of a repository, and restore one', async () => {
  await using archived = await openArchived();
  const { console } = archived;
  await until(() => isArchived(console));
  const overview = await console.json('/overview', BOSS);
  assert.deepEqual([overview.archives[0].state, overview.archives[0].problem], ['live', '']);
  assert.match((await console.get('/overview', BOSS)).text, /<h2>Archives<\/h2>/);
  const { generations } = await console.json(PATH, BOSS);
  assert.deepEqual([generations[0].kind, generations.at(-1).kind], ['write', 'create']);

  const generation = String(generations[0].generation);
  const restored = await send(console, { generation, name: 'team/b' }, BOSS);
  assert.deepEqual(
    [restored.status, restored.to],
    [303, '/-/console/repository/team/b.git/-/files'],
    restored.text,
  );
  const [head, expected] = ['team/b.git', 'team/a.git'].map((name) =>
    gitOutput(join(console.gitaly.storagePath(), name), ['rev-parse', 'HEAD']),
  );
  assert.equal(head, expected);

  const again = await send(console, { generation, name: 'team/b' }, BOSS);
  assert.deepEqual([again.status, /Nothing was restored: /.test(again.text)], [422, true]);
  assert.equal((await send(console, { generation: 'x', name: 'c' }, BOSS)).status, 422);
  const refused = await send(console, { generation, name: 'team/c' }, ANN);
  assert.equal(refused.status, 403);
  assert.match(refused.text, /Only administrators may restore a repository/);
  assert.equal((await console.json(PATH, ANN)).mayRestore, false);
  assert.doesNotMatch((await console.get(PATH, ANN)).text, /<form/);
});

test('a restore without all files of Git LFS names those that are missing', async () => {
  await using archived = await openArchived(lfsPointer('lost'));
  const { console } = archived;
  const repository = { storageName: 'default', relativePath: 'team/a.git' };
  await console.gitaly.connection.settings.setLfsIds({ repository, ids: ['id'] });
  await until(() => isArchived(console));
  const { generations } = await console.json(PATH, BOSS);

  const generation = String(generations[0].generation);
  const restored = await send(console, { generation, name: 'team/b' }, BOSS);

  assert.equal(restored.status, 200, restored.text);
  assert.match(restored.text, new RegExp(`could not be restored: ${sha256('lost')}`));
  assert.match(restored.text, /href="[^"]*\/repository\/team\/b\.git\/-\/files"/);
});

test('without an archive there is no page about it', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });

  assert.doesNotMatch((await console.get('/repository/team/a.git/-/files')).text, /\/-\/archived/);
  assert.match((await console.get(PATH)).text, /The archive has none yet/);
  assert.equal((await console.json('/overview')).archives, undefined);
});

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
