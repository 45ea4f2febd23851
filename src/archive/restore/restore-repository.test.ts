import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Publisher } from '#generations/repository/publisher';
import { tempRoot } from '#storage/storage-layout';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { never, until } from '#testkit/until';
import { openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { OpenRepositories } from '../publish/open-repositories.ts';
import { findState, type RestoreOptions, restoreState } from './restore-repository.ts';
import { restoreRepositories } from './restore-storage.ts';

const directory = makeScratchDirectory('restore-repository');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

/** A bucket, and a storage with a repository whose commits it archives, one generation each. */
async function startPublishing(name: string) {
  await using stack = new AsyncDisposableStack();
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, name)).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const fixture = stack.use(await StorageFixture.create());
  const { path } = fixture.init('source.git');
  const blob = (content: string): string => fixture.runGit(path, ['hash-object', '-w', '--stdin'], content);
  const treeOf = (oid: string): string => fixture.runGit(path, ['mktree'], `100644 blob ${oid}\tfile\n`);
  const commitOf = (tree: string): string => fixture.runGit(path, ['commit-tree', '-m', 'message', tree]);
  const repositories = new OpenRepositories({ bucket, writer });
  /** Returns a pack whose deltas name their bases. */
  const packOf = (oids: readonly string[]): Buffer =>
    outputSync('git', ['-C', path, 'pack-objects', '--stdout', '-q'], { input: oids.join('\n') });
  /** Publishes generations, each with its commit and a pack of its own. @param head id in HEAD. */
  const publish = async (as: string, generations: readonly (readonly string[])[], head?: string) => {
    const archived = await repositories.create(as, Date.now());
    for (const [at, oids] of generations.entries()) {
      await new Publisher(archived.owned).publish({
        changes: [
          { name: 'refs/heads/main', old: generations[at - 1]?.[0], new: oids[0] ?? '' },
          ...(head !== undefined && at === 0 ? [{ name: 'HEAD', old: undefined, new: head }] : []),
        ],
        settings: { path: as },
        newObjects: async () => ({ inline: packOf(oids) }),
      });
    }
    await repositories.name(as, archived);
    return archived;
  };
  const restore = async (as: string, options: Partial<RestoreOptions> = {}): Promise<void> => {
    const target = { storageName: 'default', relativePath: as };
    const found = await findState(bucket, as, undefined);
    const given = { bucket, storages: fixture.storages, target, replaces: false, signal, ...options };
    await restoreState(found, given);
  };
  const kept = stack.move();
  const restored = (as: string): string => join(fixture.storage.path, as);
  const tools = { blob, bucket, commitOf, fixture, publish, restore, restored, treeOf };
  return { ...tools, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

test('a state whose packs lack an object is not restored', async () => {
  await using made = await startPublishing('lacking');
  const blob = made.blob('content');
  const tree = made.treeOf(blob);
  const commit = made.commitOf(tree);
  await made.publish('whole.git', [[commit, tree, blob]]);
  await made.publish('lacking.git', [[commit, tree]]);

  await made.restore('whole.git');
  await assert.rejects(made.restore('lacking.git'), { code: 'DATA_LOSS' });

  assert.equal(made.fixture.runGit(made.restored('whole.git'), ['rev-parse', 'main']), commit);
  assert.equal(existsSync(made.restored('lacking.git')), false);
});

// git before 2.50 cannot index a pack with an object twice that a delta names as its base.
for (const [state, isCovered] of Object.entries({ 'a generation': false, 'a checkpoint': true }))
  test(`packs that have the same object, named as a base, are restored from ${state}`, async () => {
    await using made = await startPublishing(`twice-${isCovered}`);
    const text = Array.from({ length: 200 }, (_, at) => `line ${at * 7919}\n`).join('');
    const [longer, shorter] = [made.blob(`${text}the end\n`), made.blob(text)];
    const generations = [longer, shorter].map((oid) => {
      const tree = made.treeOf(oid);
      return [made.commitOf(tree), tree, longer, shorter];
    });
    const archived = await made.publish('twice.git', generations);
    if (isCovered) await archived.maintenance.checkpoint();
    assert.equal((await archived.head()).packs.size, isCovered ? 1 : 0);

    await made.restore('twice.git');

    const git = (...args: string[]): string => made.fixture.runGit(made.restored('twice.git'), args);
    assert.equal(git('rev-parse', 'main'), generations[1]?.[0]);
    assert.equal(git('cat-file', 'blob', 'main:file'), text.trimEnd());
    assert.equal(git('fsck', '--full', '--no-dangling'), '');
  });

test('a call that ends while it replaces a repository leaves the old one or the new one', async () => {
  await using made = await startPublishing('replaced');
  const blob = made.blob('content');
  const tree = made.treeOf(blob);
  const commit = made.commitOf(tree);
  await made.publish('replaced.git', [[commit, tree, blob]]);
  await made.restore('replaced.git');
  const git = (...args: string[]): string => made.fixture.runGit(made.restored('replaced.git'), args);
  git('update-ref', 'refs/heads/later', commit);

  const before = AbortSignal.abort(new Error('cancelled'));
  await assert.rejects(made.restore('replaced.git', { replaces: true, signal: before }));
  assert.equal(git('rev-parse', 'later'), commit);
  const during = new AbortController();
  made.fixture.storages.onLeft = () => during.abort(new Error('cancelled'));
  await made.restore('replaced.git', { replaces: true, signal: during.signal });
  assert.equal(during.signal.aborted, true);
  assert.equal(git('for-each-ref', '--format=%(refname)'), 'refs/heads/main');
});

test('a repository stays if the restored one cannot take its place', async () => {
  await using made = await startPublishing('stays');
  const blob = made.blob('content');
  const tree = made.treeOf(blob);
  const commit = made.commitOf(tree);
  await made.publish('stays.git', [[commit, tree, blob]]);
  await made.restore('stays.git');
  const git = (...args: string[]): string => made.fixture.runGit(made.restored('stays.git'), args);
  git('update-ref', 'refs/heads/later', commit);
  let failures = 0;
  made.fixture.storages.lifecycleRecorder = {
    recordWhile: async ({ kind }, make) => {
      if (kind === 'created' && failures++ === 0) throw new Error('the disk has failed');
      await make();
    },
  };

  await assert.rejects(made.restore('stays.git', { replaces: true }), /the disk has failed/);

  assert.equal(git('rev-parse', 'later'), commit);
});

/** A bucket with three repositories, and the restore of all. */
async function startRestoringAll(name: string) {
  const made = await startPublishing(name);
  const blob = made.blob('content');
  const tree = made.treeOf(blob);
  const paths = ['a.git', 'b.git', 'c.git'];
  for (const path of paths) await made.publish(path, [[made.commitOf(tree), tree, blob]]);
  const ending = new AbortController();
  const { bucket, fixture } = made;
  const { storages } = fixture;
  const restoring = restoreRepositories({
    ...{ bucket, storages, storage: 'default', timeMs: undefined },
    signal: ending.signal,
  });
  return { ...made, ending, restoring, storages };
}

// Those that the call did not wait for were unhandled rejections, which stop a server.
test('a restore of all that is cancelled fails with that, and with nothing else', async () => {
  await using made = await startRestoringAll('all-cancelled');
  const { ending, fixture, restoring, storages } = made;
  const reason = new Error('the client has left');
  storages.lifecycleRecorder = {
    recordWhile: async () => {
      ending.abort(reason);
      throw reason;
    },
  };

  await assert.rejects(Array.fromAsync(restoring), (error) => error === reason);

  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
});

test('a restore of all that is left ends when nothing is restored any more', async () => {
  await using made = await startRestoringAll('all-left');
  const { fixture, restoring, storages } = made;
  const released = Promise.withResolvers<void>();
  let begun = 0;
  storages.lifecycleRecorder = {
    recordWhile: async (_change, make) => {
      if (++begun > 1) await released.promise;
      await make();
    },
  };
  const first = await restoring.next();
  assert.equal(first.value?.result, 'restored');
  // Before that, the end of all would end it at once.
  await until(() => begun > 1);
  let hasEnded = false;
  const leaving = restoring.return().then(() => {
    hasEnded = true;
  });

  await never(() => hasEnded);
  released.resolve();
  await leaving;

  assert.deepEqual(readdirSync(tempRoot(fixture.storage)), []);
});

test('a HEAD that is no branch is restored, and no branch moves with it', async () => {
  await using made = await startPublishing('detached');
  const { blob, commitOf, fixture, publish, restore, restored, treeOf } = made;
  const [first = [], second = []] = ['first', 'second'].map((content) => {
    const file = blob(content);
    const tree = treeOf(file);
    return [commitOf(tree), tree, file];
  });
  await publish('a.git', [[...second, ...first]], first[0]);

  await restore('a.git');

  const git = (...args: string[]): string => fixture.runGit(restored('a.git'), args);
  assert.deepEqual([git('rev-parse', 'HEAD'), git('rev-parse', 'main')], [first[0], second[0]]);
  assert.throws(() => git('symbolic-ref', '-q', 'HEAD'));
});

test('a state whose HEAD names a missing commit is not restored', async () => {
  await using made = await startPublishing('lost-head');
  const blob = made.blob('content');
  const tree = made.treeOf(blob);
  await made.publish('lost.git', [[made.commitOf(tree), tree, blob]], '1'.repeat(40));

  await assert.rejects(made.restore('lost.git'), { code: 'DATA_LOSS' });

  assert.equal(existsSync(made.restored('lost.git')), false);
});
