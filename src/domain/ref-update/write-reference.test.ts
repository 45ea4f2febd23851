import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { UnknownRevisionError, writeReference } from './write-reference.ts';

const ZEROS = '0'.repeat(40);
const MISSING = '1'.repeat(40);

/** A repository with two commits on `main` and the annotated tag `v1`. */
async function setUp() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 2 });
  const { path } = repository;
  const run = (...args: string[]) => fixture.runGit(path, args);
  run('tag', '-a', '-m', 'one', 'v1', 'main');
  return {
    path,
    run,
    write: (name: string, revision: string, oldRevision = '') =>
      writeReference(
        repository,
        { name: Buffer.from(name), revision: Buffer.from(revision), oldRevision: Buffer.from(oldRevision) },
        { hooks: undefined },
      ),
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

test('a revision may be any expression, and a tag is not peeled', async () => {
  await using bed = await setUp();

  await bed.write('refs/heads/new', 'main~1', ZEROS);
  await bed.write('refs/tags/v2', 'v1');

  assert.equal(bed.run('rev-parse', 'refs/heads/new'), bed.run('rev-parse', 'main~1'));
  assert.equal(bed.run('rev-parse', 'refs/tags/v2'), bed.run('rev-parse', 'refs/tags/v1'));
  assert.equal(bed.run('cat-file', '-t', 'refs/tags/v2'), 'tag');
});

test('zeros delete a reference', async () => {
  await using bed = await setUp();

  await bed.write('refs/tags/v1', ZEROS, 'v1');

  assert.equal(bed.run('for-each-ref', 'refs/tags'), '');
});

for (const [what, revision, oldRevision, problem] of [
  ['a name', 'gone', '', { which: 'new', revision: 'gone' }],
  ['an id', MISSING, '', { which: 'new', revision: MISSING }],
  ['an expected name', 'main~1', 'gone', { which: 'old', revision: 'gone' }],
  ['an id, whatever is expected', MISSING, 'gone', { which: 'new', revision: MISSING }],
] as const) {
  test(`${what} that names no object is unknown`, async () => {
    await using bed = await setUp();

    await assert.rejects(bed.write('refs/heads/main', revision, oldRevision), (error) => {
      assert.ok(error instanceof UnknownRevisionError);
      assert.equal(error.message, `resolving ${problem.which} revision: reference not found`);
      assert.equal(error.revision.toString(), problem.revision);
      return true;
    });
  });
}

test('another value than the expected one is an error, and so is a lock', async () => {
  await using bed = await setUp();
  const before = bed.run('rev-parse', 'main');

  await assert.rejects(bed.write('refs/heads/main', 'main~1', 'main~1'), {
    message: /^error when running update-ref command: /,
  });
  writeFileSync(join(bed.path, 'refs/heads/main.lock'), '');
  await assert.rejects(bed.write('refs/heads/main', 'main~1'), {
    code: 'ABORTED',
    message: 'reference is locked already',
  });

  assert.equal(bed.run('rev-parse', 'main'), before);
});
