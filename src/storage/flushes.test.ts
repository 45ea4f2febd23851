// Own process: it replaces functions of node:fs before other modules keep them

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { observeFlushes } from '#testkit/measure/flushes';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { createRepository } from './lifecycle/create-repository.ts';
import { moveAway } from './lifecycle/move-away.ts';
import { Namespace } from './lifecycle/namespaces.ts';
import { removeRepository } from './lifecycle/remove-repository.ts';
import { renameRepository } from './lifecycle/rename-repository.ts';
import { replaceLocked } from './locks/locked-file.ts';
import { ensureStorageMetadata } from './storage-metadata.ts';

const at = (relativePath: string) => ({ storageName: 'default', relativePath });

/** Replaces the names that differ from run to run. */
function shown(events: readonly string[], { storage }: StorageFixture): string[] {
  return events.map((event) =>
    event.replaceAll(`${storage.path}/`, '').replaceAll(/\+gitaly\/tmp\/[^/ ]+/g, 'TMP'),
  );
}

test('a new repository is on disk with all its files before it is visible', async (context) => {
  await using fixture = await StorageFixture.create();
  const events = await observeFlushes(context);

  const repository = await createRepository(fixture.storages, at('a/x.git'), {
    seed: async ({ path }) => {
      mkdirSync(`${path}/deep/er`, { recursive: true });
      writeFileSync(`${path}/deep/er/file`, '');
    },
    vote: async (phase) => void events.push(phase),
  });

  const files = readdirSync(repository.path, { recursive: true }).map((name) => `flush TMP/${name}`);
  const steps = shown(events, fixture);
  const move = steps.indexOf('move TMP a/x.git');
  assert.deepEqual(
    steps
      .slice(0, move)
      .filter((step) => step.startsWith('flush'))
      .toSorted(),
    ['flush TMP', ...files].toSorted(),
  );
  assert.ok(files.includes('flush TMP/deep/er/file'));
  assert.deepEqual(steps.slice(move), ['move TMP a/x.git', 'flush a', 'committed']);
});

test('a repository that is moved or removed has done so on disk', async (context) => {
  await using fixture = await StorageFixture.create();
  const { storages } = fixture;
  const events = await observeFlushes(context);

  await renameRepository(storages, fixture.init('a/x.git'), storages.locate(at('b/y.git')));
  await removeRepository(storages, storages.open(at('b/y.git')), {
    vote: async (phase) => void events.push(phase),
  });

  assert.deepEqual(shown(events, fixture), [
    'move a/x.git b/y.git',
    'flush b',
    'flush a',
    'preparing',
    'prepared',
    'move b/y.git TMP/repo',
    'flush b',
    'committed',
  ]);
});

test('a directory that is moved or removed has done so on disk', async (context) => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  for (const name of ['n/group', 'm/none.git']) mkdirSync(`${storage.path}/${name}`, { recursive: true });
  const moved = new Namespace(storage, 'k/group');
  const events = await observeFlushes(context);

  await new Namespace(storage, 'n/group').moveTo(moved);
  await moved.remove();
  await moveAway(storages, at('m/none.git'));

  assert.deepEqual(shown(events, fixture), [
    'move n/group k/group',
    'flush n',
    'flush k',
    'move k/group TMP/namespace',
    'flush k',
    'move m/none.git TMP/none.git',
    'flush m',
  ]);
});

test('a file is on disk before it gets its name, and then its name', async (context) => {
  await using fixture = await StorageFixture.create();
  const { storage } = fixture;
  const file = `${storage.path}/d/file`;
  mkdirSync(`${storage.path}/d`);
  const events = await observeFlushes(context);

  await replaceLocked(file, Buffer.from('content'), { mode: 0o644 });
  await ensureStorageMetadata(storage);

  const steps = shown(events, fixture);
  assert.deepEqual(steps.slice(0, 3), ['flush d/file.lock', 'move d/file.lock d/file', 'flush d']);
  const [, draft] = /^flush (\S+)$/.exec(steps[3] ?? '') ?? [];
  assert.deepEqual(steps.slice(4), [`link ${draft} .gitaly-metadata`, `flush ${storage.path}`]);
});
