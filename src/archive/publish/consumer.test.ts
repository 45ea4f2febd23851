import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { systemErrorCode } from '#base/go/system-error';
import type { RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import { FollowedEvents } from '#events/event-source';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { IdleRepositories } from '../maintain/idle-repositories.ts';
import { archiveDirectory } from './archive-directory.ts';
import { Archiver } from './archiver.ts';
import { Consumer } from './consumer.ts';
import { LeftPaths } from './left-paths.ts';
import { ALL_REPOSITORIES, MarkedSettings, settingsMarker } from './marks.ts';
import { OpenRepositories } from './open-repositories.ts';
import { Progress } from './progress.ts';

const scratch = makeScratchDirectory('consumer');
after(() => rmSync(scratch, { recursive: true }));
const PATH = 'a.git';
const retention = { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };

interface StartOptions {
  readonly joinMs?: number;
  /** The repository could not be archived, and its next work waits for `release`. */
  readonly isFailed?: boolean;
  readonly maintainMs?: number;
  /** Takes the problems that a test causes. */
  readonly problems?: unknown[];
}

/**
 * A consumer of a journal in memory, of a storage with one repository.
 */
async function startConsumer(name: string, options: StartOptions = {}) {
  const { joinMs = 0, isFailed = false, maintainMs, problems } = options;
  await using stack = new AsyncDisposableStack();
  const ending = new AbortController();
  const { signal } = ending;
  const bucket = await openArchiveBucket(pathToFileURL(join(scratch, name)).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const fixture = stack.use(await StorageFixture.create());
  fixture.init(PATH);
  const events: RepositoryEvent[] = [];
  const journal = new FollowedEvents(() => ({
    async *read(after) {
      if (after < journal.oldest) throw new TooOldError();
      yield events.filter(({ sequence }) => sequence > after);
    },
    compacted: () => assert.fail('the archive reads no compacted events'),
  }));
  const directory = archiveDirectory(fixture.storage, name);
  mkdirSync(directory, { recursive: true });
  const onProblem = (error: unknown): void => {
    if (problems !== undefined) return void problems.push(error);
    assert.ok(signal.aborted || error instanceof TooOldError, String(error));
  };
  const progress = await Progress.open(
    join(directory, 'progress.json'),
    { incarnation: bucket.incarnation, last: 0 },
    onProblem,
  );
  const repositories = new OpenRepositories({ bucket, writer });
  const archiver = new Archiver({
    ...{ storages: fixture.storages, storageName: 'default', repositories, retention, signal },
    journalId: () => progress.journalId,
    now: () => ({ sequence: journal.last, timeMs: Date.now() }),
    left: new LeftPaths({ journal, archived: () => progress.cursor }),
    lfs: undefined,
  });
  const consumer = new Consumer({
    ...{ archiver, bucket, journal, joinMs, onProblem, progress, repositories, retention, signal },
    idle: new IdleRepositories(bucket, retention),
    marks: new MarkedSettings(directory),
    ...(maintainMs !== undefined && { maintainMs }),
    onDone: () => {},
    storage: fixture.storage,
  });
  /** Keeps all further work for the repository waiting until the function is called. */
  const block = async (): Promise<() => void> => {
    const [begun, blocked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const work = async (): Promise<void> => {
      begun.resolve();
      await blocked.promise;
    };
    consumer.steps.add({ kind: 'work', path: PATH, work, firstMs: 0, last: { sequence: 0, timeMs: 0 } });
    await begun.promise;
    return blocked.resolve;
  };
  const release = isFailed ? await block() : undefined;
  if (isFailed) progress.failed.add(PATH);
  const running = consumer.run().catch(() => {}); // it ends with the signal
  stack.defer(async () => {
    ending.abort(new Error('the test is over'));
    await running;
  });
  if (!isFailed) await until(() => progress.toCompare === 'none', 'the first comparison');
  const add = (event: Partial<RepositoryEvent>, oldest = 0): void => {
    const sequence = events.length + 1;
    events.push({ sequence, kind: 'reference', relativePath: PATH, timeMs: Date.now(), ...event });
    journal.moveTo({ last: sequence, oldest });
  };
  const kept = stack.move();
  return {
    add,
    block,
    consumer,
    directory,
    ending,
    fixture,
    progress,
    release,
    repositories,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

test('changes that were not archived at the end are read again after the next start', async () => {
  await using started = await startConsumer('aborted', { joinMs: 3600_000 });
  const { add, consumer, ending, progress } = started;
  add({ reference: 'refs/heads/main' });
  await until(() => consumer.steps.count === 1, 'the step of the change');

  ending.abort(new Error('the lease has ended'));
  await consumer.steps.idle();

  assert.equal(progress.cursor, 0);
});

test('the cursor stays before an event that is joined to a comparison', async () => {
  await using started = await startConsumer('joined');
  const { add, block, consumer, progress } = started;
  const release = await block();
  progress.failed.add(PATH);
  consumer.steps.add({ kind: 'compare', path: PATH, firstMs: 0, last: { sequence: 0, timeMs: 0 } });
  add({ kind: 'resync' });
  add({ kind: 'removed', relativePath: 'other.git' });
  await until(() => consumer.steps.count === 3, 'the step of the event');

  assert.equal(progress.cursor, 0);
  release();
  await until(() => progress.cursor === 2, 'the cursor');
});

test('a repository that could not be archived is noted until it is', async () => {
  await using started = await startConsumer('failed', { isFailed: true });
  const { consumer, progress, release } = started;
  await until(() => consumer.steps.count > 1, 'the comparison');

  assert.ok(progress.failed.has(PATH));
  release?.();
  await until(() => !progress.failed.has(PATH), 'the end of the comparison');
});

test('all is compared again if that was asked for while it was compared', async () => {
  await using started = await startConsumer('asked');
  const { add, block, progress } = started;
  const release = await block();
  const event = { kind: 'resync', relativePath: '' } as const;
  add(event);
  await until(() => progress.comparisons === 1, 'the first request');
  add(event);
  await until(() => progress.comparisons === 2, 'the second request');
  const ended: string[] = [];
  const end = progress.endComparison.bind(progress);
  progress.endComparison = (since) => {
    end(since);
    ended.push(progress.toCompare);
  };

  release();

  await until(() => ended.length === 2, 'both comparisons');
  assert.deepEqual(ended, ['all', 'none']);
});

// Symptom: if all comparisons took longer than the journal keeps its events, each was followed by
// the next.
test('the journal is read while all is compared after a gap', async () => {
  await using started = await startConsumer('gap');
  const { add, block, consumer, progress } = started;
  const release = await block();
  add({ kind: 'resync' }, 1);
  await until(() => progress.comparisons === 1, 'the comparison after the gap');
  const settling = consumer.settle();

  add({ kind: 'removed', relativePath: 'other.git' }, 1);
  await until(() => progress.cursor === 2, 'the event');
  add({ kind: 'removed', relativePath: 'other.git' }, 2);
  await until(() => progress.cursor === 3, 'the next event');
  assert.deepEqual([progress.comparisons, progress.toCompare], [1, 'all']);

  release();
  await settling;
  assert.equal(progress.toCompare, 'none');
});

test('a mark for all repositories has them compared', async () => {
  await using started = await startConsumer('all-marked');
  const { directory, progress } = started;

  settingsMarker(directory)(ALL_REPOSITORIES, 'end');

  await until(() => progress.comparisons === 1, 'the request');
  await until(() => progress.toCompare === 'none', 'the comparison');
  await until(() => readdirSync(directory).every((name) => !name.startsWith('marks')), 'the mark goes');
});

test('repositories that have changed are maintained, one time after another', async () => {
  await using started = await startConsumer('maintained', { maintainMs: 20 });
  const { add, fixture, repositories } = started;
  const checkpoint = async (): Promise<number> =>
    (await repositories.get(PATH))?.owned.state?.checkpoint ?? 0;
  await until(async () => (await checkpoint()) > 0, 'a checkpoint');
  const before = await checkpoint();

  gitOutput(join(fixture.storage.path, PATH), ['config', 'a.b', 'c']);
  add({ kind: 'resync' });

  await until(async () => (await checkpoint()) > before, 'one of the change');
});

// Each step takes memory: with 10,000 repositories, 2,000 of them waited.
test('few steps of a comparison of all wait at once', async () => {
  await using started = await startConsumer('many');
  const { consumer, fixture, progress } = started;
  for (let number = 0; number < 40; number++) fixture.init(`many/${number}.git`);
  const paths = new Set<string>();
  let most = 0;
  const add = consumer.steps.add.bind(consumer.steps);
  consumer.steps.add = (step) => {
    add(step);
    paths.add(step.path);
    most = Math.max(most, consumer.steps.count);
  };

  started.add({ kind: 'resync', relativePath: '' });
  await until(() => progress.comparisons === 1, 'the request');
  await until(() => progress.toCompare === 'none', 'the comparison');

  assert.equal(paths.size, 41);
  assert.ok(most <= 4, `${most} steps`);
});

// Symptom: a file that stays unreadable was reported twice a second.
test('a problem that stays is reported once, and again when it has come back', async () => {
  const problems: unknown[] = [];
  await using started = await startConsumer('problems', { problems });
  const { consumer, directory } = started;
  const looks = async (): Promise<void> => {
    await consumer.settle();
    await consumer.settle();
  };

  mkdirSync(join(directory, 'marks'));
  await looks();
  assert.deepEqual(problems.map(systemErrorCode), ['EISDIR']);

  for (const name of readdirSync(directory))
    if (name.startsWith('marks')) rmSync(join(directory, name), { recursive: true });
  await looks();
  mkdirSync(join(directory, 'marks'));
  await looks();
  assert.deepEqual(problems.map(systemErrorCode), ['EISDIR', 'EISDIR']);
});
