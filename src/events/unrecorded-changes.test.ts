import assert from 'node:assert/strict';
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { UnrecordedChanges } from './unrecorded-changes.ts';

/** Space that the file keeps. */
const SPARE_BYTES = 64 * 1024;
const PATH_BYTES = 100;

/** Opens the records of a directory, as each process does. */
function open(context: TestContext, directory = makeScratchDirectory('unrecorded')) {
  const problems: unknown[] = [];
  const changes = new UnrecordedChanges(directory, (error) => problems.push(error));
  context.after(async () => {
    await changes[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  /** Returns the records that a process that starts now would find. */
  const left = () => new UnrecordedChanges(directory, assert.ifError).left();
  return { changes, directory, left, problems };
}

test('the next process finds each note once, and none that was cleared', async (context) => {
  const { changes, directory, left, problems } = open(context);
  await changes.prepare();
  assert.deepEqual(await left(), []);

  for (const path of ['a.git', 'team/b.git', 'a.git']) await changes.note(path);
  assert.deepEqual(await left(), ['a.git', 'team/b.git']);

  await changes.clear();
  assert.deepEqual(await left(), []);
  await changes.note('a.git');
  assert.deepEqual(await left(), ['a.git'], 'noted anew');
  await changes.clear();
  assert.equal(statSync(join(directory, 'spare')).size, SPARE_BYTES, 'the space is kept');
  assert.deepEqual(problems, []);
});

test('the records of a dead process stay until the next one prepares its own', async (context) => {
  const { changes: dead, directory, left } = open(context);
  await dead.prepare();
  await dead.note('a.git');
  await dead[Symbol.asyncDispose]();
  const { changes, problems } = open(context, directory);
  assert.deepEqual(await left(), ['a.git']);

  await changes.prepare();

  assert.deepEqual(await left(), []);
  await changes.note('b.git');
  assert.deepEqual(await left(), ['b.git']);
  await changes.prepare();
  assert.deepEqual(await left(), ['b.git'], 'not while it is in use');
  assert.deepEqual(problems, []);
});

for (const path of ['*', 'line\nfeed.git'])
  test(`${JSON.stringify(path)} cannot be told from others, so it is noted as all`, async (context) => {
    const { changes, left } = open(context);
    await changes.prepare();

    await changes.note('a.git');
    await changes.note(path);

    assert.deepEqual(await left(), ['']);
  });

test('what has no space any more is noted as all', async (context) => {
  const { changes, left, problems } = open(context);
  await changes.prepare();
  // The first two bytes are kept for the line of all.
  const count = Math.floor((SPARE_BYTES - 2) / (PATH_BYTES + 1));
  const paths = Array.from({ length: count }, (_, index) => `${index}`.padEnd(PATH_BYTES, 'x'));
  for (const path of paths) await changes.note(path);
  assert.deepEqual(await left(), paths);

  await changes.note('y'.repeat(PATH_BYTES));

  assert.deepEqual(await left(), ['']);
  await changes.clear();
  assert.deepEqual(await left(), []);
  assert.deepEqual(problems, []);
});

test('a file that is gone is a problem, and not an error of the change', async (context) => {
  const { changes, directory, problems } = open(context);

  await changes.note('a.git');

  assert.deepEqual(
    problems.map((error) => Object(error).code),
    ['ENOENT'],
  );
  assert.equal(existsSync(join(directory, 'unrecorded')), false);
});
