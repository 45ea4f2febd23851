import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const storageName = 'default';

async function exists({ connection }: TestGitaly, name: string): Promise<boolean> {
  return (await connection.namespace.namespaceExists({ storageName, name })).exists;
}

test('a namespace is added twice, found, and removed twice with its repositories', async () => {
  await using gitaly = await startGitaly();
  const { namespace } = gitaly.connection;
  assert.equal(await exists(gitaly, 'group/sub'), false);

  for (const _ of [1, 2]) await namespace.addNamespace({ storageName, name: 'group/sub' });

  assert.equal(await exists(gitaly, 'group/sub'), true);
  const path = join(gitaly.storagePath(), 'group/sub');
  initRepository(join(path, 'x.git'), { commits: 1 });
  for (const _ of [1, 2]) await namespace.removeNamespace({ storageName, name: 'group/sub' });
  assert.equal(existsSync(path), false);
  assert.equal(await exists(gitaly, 'group'), true);
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
});

test('a file is no namespace', async () => {
  await using gitaly = await startGitaly();
  writeFileSync(join(gitaly.storagePath(), 'file'), '');

  assert.equal(await exists(gitaly, 'file'), false);
  assert.equal(await exists(gitaly, 'file/below'), false);
});

test('a renamed namespace keeps its repositories, and gets its parents', async () => {
  await using gitaly = await startGitaly();
  initServed(gitaly, 'old/x.git', { commits: 1 });
  const oid = gitOutput(join(gitaly.storagePath(), 'old/x.git'), ['rev-parse', 'HEAD']);
  const rename = (from: string, to: string) =>
    gitaly.connection.namespace.renameNamespace({ storageName, from, to });

  await rename('old', 'a/b/new');

  assert.equal(gitOutput(join(gitaly.storagePath(), 'a/b/new/x.git'), ['rev-parse', 'HEAD']), oid);
  assert.equal(await exists(gitaly, 'old'), false);
  const refused = (message: string) => ({ code: 'INVALID_ARGUMENT', message });
  for (const to of ['c', 'c/below'])
    await assert.rejects(rename('old', to), refused('from directory old not found'));
  assert.equal(existsSync(join(gitaly.storagePath(), 'c')), false);
  await assert.rejects(rename('a', 'a/b/new'), refused('to directory a/b/new already exists'));
  await assert.rejects(rename('a', 'a/c'), refused('a directory cannot be moved into itself'));
  await assert.rejects(rename('', 'c'), refused('from and to cannot be empty'));
});

test('paths outside the storage, the storage itself and the own directory are refused', async () => {
  await using gitaly = await startGitaly({ storages: ['default', 'second'] });
  const { namespace } = gitaly.connection;
  mkdirSync(join(gitaly.storagePath('second'), 'other'));
  symlinkSync(gitaly.storagePath('second'), join(gitaly.storagePath(), 'link'));

  for (const name of ['.', '..', '../second', 'a/../..', '+gitaly', './+gitaly/tmp', 'link/other', 'a\0b']) {
    const escapes = { code: 'INVALID_ARGUMENT', message: 'relative path escapes root directory' };
    await assert.rejects(namespace.addNamespace({ storageName, name }), escapes, name);
    await assert.rejects(namespace.removeNamespace({ storageName, name }), escapes, name);
    await assert.rejects(namespace.namespaceExists({ storageName, name }), escapes, name);
    await assert.rejects(namespace.renameNamespace({ storageName, from: 'x', to: name }), escapes, name);
    await assert.rejects(namespace.renameNamespace({ storageName, from: name, to: 'x' }), escapes, name);
  }
  assert.deepEqual(readdirSync(gitaly.storagePath('second')).includes('other'), true);
});

test('an empty name and an unknown storage are refused', async () => {
  await using gitaly = await startGitaly();
  const { namespace } = gitaly.connection;

  for (const call of [namespace.addNamespace, namespace.removeNamespace, namespace.namespaceExists]) {
    await assert.rejects(call({ storageName, name: '' }), {
      code: 'INVALID_ARGUMENT',
      message: 'Name: cannot be empty',
    });
    await assert.rejects(call({ storageName: 'nope', name: 'x' }), { code: 'INVALID_ARGUMENT' });
  }
});
