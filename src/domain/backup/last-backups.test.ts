import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { LastBackups } from './last-backups.ts';

/** Starts processes of a server on an empty storage. */
function processesOn(context: TestContext) {
  const path = makeScratchDirectory('last-backups');
  context.after(() => rmSync(path, { recursive: true, force: true }));
  const storage = { name: 'default', path };
  const problems: unknown[] = [];
  const start = (process: number) => new LastBackups({ process, onProblem: (error) => problems.push(error) });
  return { storage, problems, start, directory: join(path, '+gitaly/backups') };
}

test('backups are known after a restart, and to all processes', async (context) => {
  const { directory, problems, start, storage } = processesOn(context);
  const [first, second] = [start(0), start(1)];
  assert.deepEqual(await first.last(storage), []);

  await Promise.all([first.stored(storage, 'a'), first.stored(storage, 'a'), second.stored(storage, 'a')]);
  const ends = async () => (await first.last(storage)).map(({ isEnded }) => isEnded);
  assert.deepEqual(await ends(), [false]);
  await start(2).ended(storage, 'a');
  const endedMs = Date.now();
  await until(() => Date.now() > endedMs); // of two at the same time, either is the last
  await second.failed(storage, 'b', 'x.git', 'no space');

  assert.deepEqual(await ends(), [false, true]);
  for (const process of [first, second, start(0), start(7)]) {
    const [failed, good, ...others] = await process.last(storage);
    assert.deepEqual([failed?.id, failed?.failed, failed?.failure?.problem], ['b', 1, 'no space']);
    assert.deepEqual([good?.id, good?.repositories, good?.isEnded], ['a', 3, true]);
    assert.deepEqual(others, []);
  }
  const again = start(0);
  await again.stored(storage, 'a');
  assert.equal((await second.last(storage)).find(({ id }) => id === 'a')?.repositories, 4);
  assert.deepEqual(readdirSync(directory).sort(), ['0.json', '1.json', '2.json']);
  assert.deepEqual(problems, []);
});

test('a damaged file is replaced, and a storage that cannot be written fails no backup', async (context) => {
  const { directory, problems, start, storage } = processesOn(context);
  await start(0).stored(storage, 'a');
  writeFileSync(join(directory, '0.json'), '{"runs":[{"id":"a"},7,{"id":"b","timeMs":1}');
  assert.deepEqual(await start(0).last(storage), []);
  await start(0).stored(storage, 'c');
  assert.deepEqual(
    (await start(0).last(storage)).map(({ id }) => id),
    ['c'],
  );
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file');

  await start(0).stored(storage, 'd');

  assert.equal(problems.length, 1);
});
