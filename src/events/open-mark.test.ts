import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ownIdentity } from '#base/process-identity';
import { moduleOptions } from '#testkit/programs/program-command';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { ChangeFeed } from './change-feed.ts';
import { OpenMark } from './open-mark.ts';

const LIMITS = { maxBytes: 1 << 20, maxAgeMs: 60_000 };

// Symptom: events of the last moments before a power failure were missing, and consumers not told.
test('a feed that was open at a power failure begins with a resync under a new number', async () => {
  await using fixture = await StorageFixture.create();
  fixture.init('a.git', { commits: 1 });
  const mark = join(fixture.storage.path, '+gitaly/events/open');
  const problems: string[] = [];
  const onProblem = (error: unknown): void => void problems.push(String(error));
  const open = () => ChangeFeed.open(fixture.storages, { ...LIMITS, onProblem });
  const eventsOf = async (feed: ChangeFeed) =>
    (await Array.fromAsync(feed.journal('default').read(0))).flat();
  {
    await using feed = await open();
    await feed.journal('default').add([{ kind: 'created', relativePath: 'a.git' }]);
    assert.ok(existsSync(mark));
  }
  assert.ok(!existsSync(mark), 'closed');
  {
    await using feed = await open();
    assert.deepEqual(
      (await eventsOf(feed)).map(({ sequence }) => sequence),
      [1],
    );
  }
  writeFileSync(mark, 'another-boot 1');

  for (const opening of ['first', 'second']) {
    await using feed = await open();
    const [, resync, ...others] = await eventsOf(feed);
    assert.partialDeepStrictEqual(resync, { kind: 'resync', relativePath: '' }, opening);
    // A consumer may have read events that the disk has not.
    assert.ok(Number(resync?.sequence) > 100_000);
    assert.deepEqual(others, []);
  }
  assert.equal(problems.length, 1);
});

test('a feed that was open when only its server ended begins without a resync', async () => {
  await using fixture = await StorageFixture.create();
  const mark = join(fixture.storage.path, '+gitaly/events/open');
  const onProblem = (error: unknown): never => assert.fail(String(error));
  const open = () => ChangeFeed.open(fixture.storages, { ...LIMITS, onProblem });
  let left: Buffer;
  {
    await using _ = await open();
    left = readFileSync(mark);
  }
  writeFileSync(mark, left);

  await using feed = await open();

  assert.equal(feed.journal('default').last, 0);
});

// Symptom: at each start after a power failure, events were reported as missing.
test('a process that has the number of one before the last boot sets its mark', async () => {
  await using fixture = await StorageFixture.create();
  const directory = join(fixture.storage.path, '+gitaly/events');
  const mark = new OpenMark(directory);
  const { pid, startTime } = ownIdentity();
  writeFileSync(join(directory, 'open'), `another-boot ${pid} ${startTime}`);
  assert.ok(await mark.mayLackEvents());

  await mark.set({ isShared: false });

  assert.ok(!(await mark.mayLackEvents()));
});

// Symptom: after a restart, events that the new process had found were gone: the old one had
// compacted them.
test('a feed is replaced as long as a process runs that has set its mark later', async () => {
  await using fixture = await StorageFixture.create();
  const directory = join(fixture.storage.path, '+gitaly/events');
  const mark = new OpenMark(directory);
  for (const isShared of [true, false]) {
    await mark.set({ isShared });
    assert.equal(await mark.isReplaced(), false);
  }
  assert.doesNotMatch(readFileSync(join(directory, 'open'), 'utf8'), /shared/);
  const script = `
    import { OpenMark } from '#events/open-mark';
    await new OpenMark(${JSON.stringify(directory)}).set({ isShared: true });
    process.stdout.write('set');
    setInterval(() => {}, 1000);`;
  const next = spawn(process.execPath, [...moduleOptions(), '--input-type=module', '-e', script]);
  const ended = once(next, 'close');
  try {
    await once(next.stdout, 'data');

    assert.equal(await mark.isReplaced(), true);
    await mark.set({ isShared: false });
    assert.equal(await mark.isReplaced(), true, 'the mark of the next process stays');
  } finally {
    next.kill('SIGKILL');
    await ended;
  }
  assert.equal(await mark.isReplaced(), false);
});
