import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { until } from '#testkit/until';
import { ANN, BOSS, isArchived, openArchived, PATH, sha256 } from './archived-console.ts';
import { type OpenedConsole, openConsole } from './open-console.ts';

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
