import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { MirrorDirectory } from '#tools/mirror/mirror-directory';
import { startUp } from '../start-up.ts';
import { openConsole } from './open-console.ts';

const HOSTILE = `"><img/src=x/onerror=alert(1)>`;
const TIME = '2026-01-02T03:04:05.000Z';
const as = (name: string): Record<string, string> => ({ authorization: `Bearer ${name}` });

/** Opens a console with users and an empty directory of mirrors. */
async function open(context: TestContext) {
  const directory = makeScratchDirectory('mirrors-page');
  context.after(() => rmSync(directory, { recursive: true }));
  const digestOf = (name: string): string => `sha256:${createHash('sha256').update(name).digest('hex')}`;
  const authFile = join(directory, 'users');
  writeFileSync(authFile, `admin admin ${digestOf('admin')}\nreader read ${digestOf('reader')}\n`);
  const mirrors = new MirrorDirectory(directory);
  const console = await openConsole({ authFile, sources: { mirrors } });
  for (const relativePath of ['a.git', 'b.git', 'c.git'])
    await console.gitaly.createRepository({ relativePath, commits: 1 });
  return { console, mirrors };
}

const mirrorOf = (repository: string) => ({
  repository,
  url: `https://example.com/${repository}`,
  everySeconds: 900,
});

test('administrators see the mirrors with their last runs, failed ones first', async (context) => {
  const { console, mirrors } = await open(context);
  await using _console = console;
  const entry = /href="\/-\/console\/mirrors"/;
  assert.doesNotMatch((await console.get('/overview', as('admin'))).text, entry);
  for (const name of ['a.git', 'b.git', 'c.git']) await mirrors.set(mirrorOf(name), 'user:a-secret');
  const success = { at: TIME, problem: undefined, failures: 0, succeededAt: TIME };
  await mirrors.report('a.git', success);
  const failure = { at: TIME, problem: HOSTILE, failures: 2, succeededAt: undefined };
  await mirrors.report('b.git', failure);

  const page = await console.json('/mirrors', as('admin'));

  assert.deepEqual(page, {
    mirrors: [
      { ...mirrorOf('b.git'), lastRun: { at: TIME, problem: HOSTILE, failures: 2 } },
      { ...mirrorOf('a.git'), lastRun: { at: TIME, failures: 0, succeededAt: TIME } },
      { ...mirrorOf('c.git'), lastRun: null },
    ],
    count: 3,
  });
  const { text } = await console.get('/mirrors', as('admin'));
  assert.match(text, /<td[^>]*>15 min<\/td>/);
  assert.match(text, /not yet/);
  assert.doesNotMatch(text, /<img|a-secret/);
  assert.match((await console.get('/overview', as('admin'))).text, entry);
  assert.doesNotMatch((await console.get('/overview', as('reader'))).text, entry);
  const statuses = [
    (await console.get('/mirrors', as('reader'))).status,
    (await console.get('/mirrors')).status,
  ];
  assert.deepEqual(statuses, [403, 401]);
});

test('the settings of a mirror have its last result, for administrators', async (context) => {
  const { console, mirrors } = await open(context);
  await using _console = console;
  await mirrors.set(mirrorOf('a.git'), '');
  await mirrors.report('a.git', { at: TIME, problem: HOSTILE, failures: 1, succeededAt: undefined });
  const path = '/repository/a.git/-/settings';

  assert.equal((await console.json(path, as('admin'))).mirror.lastRun.problem, HOSTILE);
  assert.match((await console.get(path, as('admin'))).text, /<dt>Problem<\/dt><dd>&quot;&gt;&lt;img/);
  assert.equal((await console.json(path, as('reader'))).mirror, undefined);
  assert.doesNotMatch((await console.get(path, as('reader'))).text, /example\.com/);
  assert.equal((await console.json('/repository/b.git/-/settings', as('admin'))).mirror, undefined);
});

test('a server without mirrors has no page about them', async () => {
  await using console = await openConsole();

  assert.equal((await console.get('/mirrors')).status, 404);
  assert.doesNotMatch((await console.get('/overview')).text, /\/mirrors"/);
});

test('the console of up shows the mirrors of its directory', async (context) => {
  const directory = makeScratchDirectory('mirrors-up');
  context.after(() => rmSync(directory, { recursive: true }));
  const data = join(directory, 'data');
  await using up = await startUp({ args: [data, '--http', '127.0.0.1:0'] });
  const mirror = { repository: 'hello.git', url: 'http://127.0.0.1:1/none.git', everySeconds: 900 };
  await new MirrorDirectory(data).set(mirror, '');

  const page = async (name: string): Promise<string> =>
    await (await fetch(`${up.report.http}/-/console/${name}`)).text();

  await until(async () => (await page('mirrors')).includes('<td role="cell" data-heading="Problem">'));
  assert.match(await page('repository/hello.git/-/settings'), /http:\/\/127\.0\.0\.1:1\/none\.git/);
});
