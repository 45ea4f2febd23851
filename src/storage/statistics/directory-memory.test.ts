import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { DirectoryMemory } from './directory-memory.ts';
import { type DirectorySum, directorySizeBytes } from './directory-size.ts';

/** Longer than a tick of the clock that files get their times from. */
const TICK_MS = 20;
const settled = (): number => Date.now() + 60_000;

test('a remembered size is the real one after every kind of change', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 5 });
  const sums = new DirectoryMemory<DirectorySum>(settled);
  const git = (...args: string[]): string => fixture.runGit(path, args);
  const blob = (text: string): string => fixture.runGit(path, ['hash-object', '-w', '--stdin'], text);

  const changes: (() => void)[] = [
    () => blob('a new object'),
    () => fixture.commit(path, 6),
    () => git('update-ref', 'refs/heads/deep/er', 'main'),
    () => git('update-ref', 'refs/heads/deep/er', 'main~1'),
    () => git('pack-refs', '--all'),
    () => git('repack', '-q'),
    () => git('repack', '-qad'),
    () => git('prune-packed'),
    () => git('config', 'a.b', 'x'.repeat(1000)),
    () => git('update-ref', '-d', 'refs/heads/deep/er'),
    () => writeFileSync(`${path}/objects/pack/tmp_pack_x`, 'x'),
    // Grows in place, as packs do while they arrive.
    () => writeFileSync(`${path}/objects/pack/tmp_pack_x`, 'x'.repeat(5000)),
    () => rmSync(`${path}/objects/pack/tmp_pack_x`),
    () => mkdirSync(`${path}/objects/pack/deeper`),
    () => writeFileSync(`${path}/objects/pack/deeper/file`, 'x'),
    () => rmSync(`${path}/refs/tags`, { recursive: true }),
  ];
  for (const change of changes) {
    await directorySizeBytes(path, { sums });
    await sleep(TICK_MS);
    change();
    assert.equal(await directorySizeBytes(path, { sums }), await directorySizeBytes(path), String(change));
  }
  assert.ok(sums.size > 3);
});

test('only directories of objects and references are remembered, once they are old enough', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 2 });
  mkdirSync(`${path}/custom_hooks`);
  writeFileSync(`${path}/custom_hooks/pre-receive`, 'x');
  const fresh = new DirectoryMemory<DirectorySum>(() => statSync(`${path}/objects`).ctimeMs);
  await directorySizeBytes(path, { sums: fresh });
  assert.equal(fresh.size, 0);

  const sums = new DirectoryMemory<DirectorySum>(settled);
  await directorySizeBytes(path, { sums });
  for (const directory of ['objects', 'objects/pack', 'refs', 'refs/heads'])
    assert.equal(typeof sums.look(`${path}/${directory}`), 'object', directory);
  for (const directory of ['', 'custom_hooks', 'info', 'none/objects'])
    assert.equal(typeof sums.look(`${path}/${directory}`), 'function', directory);
});
