import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { prepareAlternates } from './moved-alternates.ts';

const LINE = '../../p.git/objects\n';

/** A repository whose only commit is in another one. */
async function startMove() {
  const fixture = await StorageFixture.create();
  const pool = fixture.init('p.git', { commits: 1 });
  const { path: from } = fixture.init('x.git');
  const fileOf = (path: string): string => join(path, 'objects/info/alternates');
  writeFileSync(fileOf(from), LINE);
  fixture.runGit(from, ['update-ref', 'refs/heads/main', fixture.runGit(pool.path, ['rev-parse', 'main'])]);
  const isWhole = (path: string): boolean => fixture.runGit(path, ['cat-file', '-t', 'main']) === 'commit';
  return { fixture, from, isWhole, lineOf: (path: string) => readFileSync(fileOf(path), 'utf8') };
}

test('objects are found before a move, after it, and when it has ended', async () => {
  const { fixture, from, isWhole, lineOf } = await startMove();
  await using storage = fixture;
  const directory = join(storage.storage.path, 'deep/er');
  const to = join(directory, 'x.git');
  const prepared = await prepareAlternates({ from, to });

  assert.ok(isWhole(from), 'a process that dies before the move');
  mkdirSync(directory, { recursive: true });
  renameSync(from, to);
  assert.ok(isWhole(to), 'a process that dies after the move');
  await prepared?.done();

  assert.ok(isWhole(to));
  assert.equal(lineOf(to), '../../../../p.git/objects\n');
});

test('a repository that stays, or moves as deep, has the lines that it had', async () => {
  const { fixture, from, isWhole, lineOf } = await startMove();
  await using storage = fixture;
  const to = join(storage.storage.path, 'deep/x.git');

  await (await prepareAlternates({ from, to }))?.failed();
  assert.deepEqual([lineOf(from), isWhole(from)], [LINE, true]);

  assert.equal(await prepareAlternates({ from, to: join(storage.storage.path, 'z.git') }), undefined);
  assert.equal(lineOf(from), LINE);
});
