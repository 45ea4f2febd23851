import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChangeFeed } from '#events/change-feed';
import { TooOldError } from '#events/event-files';
import type { LifecycleChange } from '#storage/lifecycle/lifecycle-recorder';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { LinkedFamily, type LinkedWorker } from '#testkit/servers/linked-family';
import { until } from '#testkit/until';
import { RemoteFeed } from './remote-feed.ts';
import { shareFeed } from './share-feed.ts';

const target = { storageName: 'default', relativePath: 'a.git' };
const MAIN = ['refs/heads/main'];

interface Setting {
  readonly fixture: StorageFixture;
  readonly feed: ChangeFeed;
  readonly worker: LinkedWorker;
  /** Number of questions of the worker for which the supervisor holds something. */
  readonly held: () => number | undefined;
  readonly remote: RemoteFeed;
  readonly path: string;
  readonly problems: unknown[];
  /** Moves `main` to a new commit, as a git of the worker does. @returns it. */
  move(): string;
}

/** Runs a test with a feed of a storage and one worker. */
async function withFeed(run: (setting: Setting) => Promise<void>): Promise<void> {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('a.git', { commits: 1 });
  const problems: unknown[] = [];
  const onProblem = (error: unknown): void => void problems.push(error);
  await using feed = await ChangeFeed.open(fixture.storages, {
    maxBytes: 1 << 20,
    maxAgeMs: 60_000,
    onProblem,
  });
  const family = new LinkedFamily();
  shareFeed(family.supervisor, feed, fixture.storages);
  const worker = family.start();
  const remote = new RemoteFeed(worker.link, {
    storages: fixture.storages,
    onProblem,
    currentUser: () => undefined,
  });
  const move = (): string => {
    const tree = fixture.runGit(path, ['rev-parse', 'main^{tree}']);
    const commit = fixture.runGit(path, ['commit-tree', '-p', 'main', '-m', 'x', tree]);
    fixture.runGit(path, ['update-ref', 'refs/heads/main', commit]);
    return commit;
  };
  const held = () => family.supervisor.workers()[0]?.link.answering;
  await run({ fixture, feed, held, worker, remote, path, problems, move });
}

async function eventsOf(feed: ChangeFeed): Promise<string[]> {
  const all = (await Array.fromAsync(feed.journal('default').read(0))).flat();
  return all.map(({ kind, newValue = '-', relativePath }) =>
    kind === 'reference' ? `${relativePath} ${newValue}` : `${kind} ${relativePath}`,
  );
}

test('a change of a worker is in the feed when it ends, and is read from there', async () => {
  await withFeed(async ({ feed, fixture, held, move, problems, remote }) => {
    const change = await remote.begin(fixture.storages.open(target), MAIN);
    const id = move();
    await change?.[Symbol.asyncDispose]();
    await until(() => held() === 0); // each change would stay in memory

    assert.deepEqual(await eventsOf(feed), [`a.git ${id}`]);
    const reader = await remote.journal('default');
    const read = (await Array.fromAsync(reader.read(0))).flat();
    assert.deepEqual(
      read.map(({ newValue, oldValue }) => [oldValue === undefined, newValue]),
      [[false, id]],
    );
    assert.equal(reader.last, 1);
    assert.deepEqual(problems, []);
  });
});

test('a worker that waits for news gets them from the supervisor', async () => {
  await withFeed(async ({ feed, fixture, move, remote }) => {
    const { news } = await remote.journal('default');

    const change = await feed.begin(fixture.storages.open(target), MAIN);
    move();
    await change?.[Symbol.asyncDispose]();

    await news;
    assert.equal((await remote.journal('default')).last, 1);
  });
});

// The change would be lost: nobody has recorded it after the death of its process.
test('a change whose worker dies is recorded, and what its git still does', async () => {
  await withFeed(async ({ feed, fixture, move, remote, worker }) => {
    await remote.begin(fixture.storages.open(target), MAIN);
    const first = move();

    worker.end();

    await until(async () => (await eventsOf(feed)).length === 1);
    const second = move(); // by a git that has outlived it
    await until(async () => (await eventsOf(feed)).length === 2);
    assert.deepEqual(await eventsOf(feed), [`a.git ${first}`, `a.git ${second}`]);
  });
});

test('a repository is recorded as moved if its worker died after the move, and not before', async () => {
  for (const hasMoved of [true, false]) {
    await withFeed(async ({ feed, fixture, path, remote, worker }) => {
      const moved = fixture.storages.locate({ ...target, relativePath: 'b.git' });
      const change: LifecycleChange = { kind: 'renamed', location: moved, previousPath: 'a.git' };
      const begun = Promise.withResolvers<void>();
      void remote.recordWhile(change, async () => {
        if (hasMoved) renameSync(path, join(path, '../b.git'));
        begun.resolve();
        await new Promise(() => {}); // never
      });
      await begun.promise;

      worker.end();

      if (hasMoved) await until(async () => (await eventsOf(feed)).includes('renamed b.git'));
      await feed[Symbol.asyncDispose]();
      assert.deepEqual(await eventsOf(feed), hasMoved ? ['renamed b.git'] : []);
    });
  }
});

test('a change of a repository that fails in a worker has no event', async () => {
  await withFeed(async ({ feed, fixture, problems, remote }) => {
    const location = fixture.storages.locate({ ...target, relativePath: 'b.git' });
    const make = (): Promise<void> => Promise.reject(new Error('no space'));

    await assert.rejects(remote.recordWhile({ kind: 'created', location }, make), /no space/);

    assert.deepEqual(await eventsOf(feed), []);
    assert.deepEqual(problems, []);
  });
});

test('a change is made also when the supervisor has ended', async () => {
  await withFeed(async ({ fixture, problems, remote, worker }) => {
    worker.end();
    let isMade = false;
    const location = fixture.storages.locate({ ...target, relativePath: 'b.git' });

    const change = await remote.begin(fixture.storages.open(target), MAIN);
    await remote.recordWhile({ kind: 'created', location }, async () => {
      isMade = true;
    });

    assert.equal(change, undefined);
    assert.equal(isMade, true);
    assert.equal(problems.length, 2);
  });
});

test('a worker is refused events that are no longer kept', async () => {
  await withFeed(async ({ remote }) => {
    const reader = await remote.journal('default');

    await assert.rejects(Array.fromAsync(reader.read(-1)), TooOldError);
  });
});
