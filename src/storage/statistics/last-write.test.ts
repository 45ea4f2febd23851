import assert from 'node:assert/strict';
import { utimesSync } from 'node:fs';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { lastWriteMs } from './last-write.ts';

const OLD = new Date('2020-01-01T00:00:00Z');

/** Makes everything in a repository old that the last write is read from. */
function age(path: string): void {
  for (const name of ['objects', 'refs/heads', 'refs/tags', 'HEAD']) utimesSync(`${path}/${name}`, OLD, OLD);
}

test('every kind of write is the last one', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 2 });
  const git = (...args: string[]): string => fixture.runGit(path, args);
  age(path);
  assert.equal(await lastWriteMs(path), OLD.getTime());

  const writes: (() => void)[] = [
    () => git('update-ref', 'refs/heads/main', 'main~1'),
    () => git('tag', 'v1'),
    () => git('update-ref', '-d', 'refs/tags/v1'),
    () => git('symbolic-ref', 'HEAD', 'refs/heads/other'),
    () => git('push', '-q', path, 'main:refs/heads/deep/er'),
  ];
  for (const write of writes) {
    age(path);
    const before = Date.now() - 1000; // of a coarser clock
    write();
    assert.ok((await lastWriteMs(path)) >= before, String(write));
  }
});

test('a repository that is missing was never written', async () => {
  assert.equal(await lastWriteMs('/nowhere'), 0);
});
