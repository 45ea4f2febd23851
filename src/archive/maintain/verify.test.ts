import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Publisher } from '#generations/repository/publisher';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ARCHIVE_TIMES, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { OpenRepositories } from '../publish/open-repositories.ts';
import { type Damage, type VerifyOptions, verifyArchive } from './verify.ts';

const directory = makeScratchDirectory('verify');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();
const NOTHING_KEPT = { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };

/**
 * Makes a repository with one commit, and an archive of it whose only pack has all of its objects,
 * or all but its file.
 *
 * @param count how often the tree has its file.
 */
async function startWith(name: string, { count = 1, isInline = false, isWhole = true }) {
  await using stack = new AsyncDisposableStack();
  const times = { ...ARCHIVE_TIMES, graceMs: 0 };
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, name)).href, { signal, times });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const fixture = stack.use(await StorageFixture.create());
  const { path } = fixture.init('a.git');
  const git = (args: string[], input: string | Buffer = ''): Buffer =>
    outputSync('git', ['-C', path, ...args], { input });
  const write = (type: string, content: string | Buffer): string =>
    git(['hash-object', '-w', '-t', type, '--literally', '--stdin'], content).toString().trim();
  const blob = write('blob', 'content');
  const entry = Buffer.concat([Buffer.from('100644 file\0'), Buffer.from(blob, 'hex')]);
  const tree = write('tree', Buffer.concat(Array.from({ length: count }, () => entry)));
  const commit = fixture.runGit(path, ['commit-tree', '-m', 'message', tree]);
  fixture.runGit(path, ['update-ref', 'refs/heads/main', commit]);
  const packed = Object.entries({ blob, tree, commit }).filter(([type]) => isWhole || type !== 'blob');
  const pack = git(['pack-objects', '--stdout', '-q'], packed.map(([, oid]) => oid).join('\n'));
  const repositories = new OpenRepositories({ bucket, writer });
  const archived = await repositories.create('a.git', Date.now());
  await new Publisher(archived.owned).publish({
    changes: [{ name: 'refs/heads/main', new: commit }],
    settings: { path: 'a.git' },
    newObjects: async () =>
      isInline ? { inline: pack } : { packs: [await archived.owned.options.chain.uploadPack(pack)] },
  });
  await repositories.name('a.git', archived);
  const { storage, storages } = fixture;
  const repository = storages.open({ storageName: 'default', relativePath: 'a.git' });
  const replace = (_path: string, { packs }: Pick<Damage, 'packs'>): Promise<boolean> =>
    archived.replacePacks(repository, packs, signal);
  const verify = async ({ repair = replace }: Partial<Pick<VerifyOptions, 'repair'>> = {}) => {
    const environment = { ...bucket.environment, bucket: bucket.direct };
    const options = { storage, storages, lfs: undefined, isFull: true, repair, signal };
    const [found] = await Array.fromAsync(verifyArchive({ ...options, bucket: { ...bucket, environment } }));
    return [found?.problems.length, found?.isChecked, found?.isRepaired];
  };
  const packsOf = async (): Promise<readonly string[]> => [...(await archived.head()).packs];
  const { store } = bucket;
  const kept = stack.move();
  const parts = { archived, packsOf, repository, store, verify, writer };
  return { ...parts, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

test('a state whose pack lacks an object is repaired by a pack from the disk', async () => {
  await using made = await startWith('lacking', { isWhole: false });
  const [lacking] = await made.packsOf();

  assert.deepEqual(await made.verify(), [1, true, true]);
  assert.deepEqual(await made.verify(), [0, true, false]);
  const packs = await made.packsOf();
  assert.deepEqual([packs.length, packs.includes(lacking ?? '')], [1, false]);
});

test('a state whose inline pack lacks an object gets a pack from the disk', async () => {
  await using made = await startWith('inline', { isWhole: false, isInline: true });

  assert.deepEqual(await made.verify(), [1, true, true]);
  assert.deepEqual(await made.verify(), [0, true, false]);
});

// git fsck reports `duplicateEntries`, as other errors of old histories.
test('packs with objects that are unusual on the disk, too, are not replaced', async () => {
  await using made = await startWith('unusual', { count: 2 });
  const before = await made.packsOf();

  assert.deepEqual(await made.verify(), [1, true, false]);
  assert.deepEqual(await made.packsOf(), before);
});

test('a pack that is pruned while another one is read is not missing', async () => {
  await using made = await startWith('pruned', {});
  const { archived, store, writer } = made;
  const former = await made.packsOf();
  await archived.maintenance.checkpoint();
  await archived.replacePacks(made.repository, former, signal);
  assert.notDeepEqual(await made.packsOf(), former);
  const get = store.get.bind(store);
  let [isPruning, deleted] = [false, 0];
  store.get = async function* (key, options) {
    if (key.endsWith('.pack') && !isPruning) {
      isPruning = true;
      await writer.lease.renew();
      deleted = await archived.maintenance.prune(NOTHING_KEPT);
    }
    yield* get(key, options);
  };

  assert.deepEqual(await made.verify(), [0, true, false]);
  assert.ok(deleted > 0);
});

// Azure and Google Cloud Storage delete the objects of a call at once, S3 in an order of its own.
test('a pack is not missing whose former states are deleted together with it', async () => {
  await using made = await startWith('together', {});
  const { archived, store, writer } = made;
  await archived.maintenance.checkpoint();
  await archived.replacePacks(made.repository, await made.packsOf(), signal);
  await writer.lease.renew();
  const remove = store.delete.bind(store);
  const found: unknown[] = [];
  store.delete = async (keys, options) => {
    const packs = keys.filter((key) => key.endsWith('.pack'));
    await remove(packs, options);
    if (packs.length > 0) found.push(await made.verify({ repair: async () => false }));
    await remove(keys, options);
  };

  await archived.maintenance.prune(NOTHING_KEPT);

  assert.deepEqual(found, [[0, true, false]]);
});

// Symptom: the verification ended with an error, or gave up a chain that was as it should be.
for (const isInline of [false, true])
  test(`git checks a later state if ${isInline ? 'a generation' : 'a pack'} is deleted`, async () => {
    await using made = await startWith(`overtaken-${isInline}`, { isInline });
    const { archived, store, writer } = made;
    let [reads, deleted] = [0, 0];
    const get = store.get.bind(store);
    store.get = async function* (key, options) {
      const isRead = isInline ? /\/g\/0*2$/.test(key) : key.endsWith('.pack');
      if (isRead && ++reads === 2) {
        await archived.replacePacks(made.repository, await made.packsOf(), signal);
        await writer.lease.renew();
        deleted = await archived.maintenance.prune(NOTHING_KEPT);
      }
      yield* get(key, options);
    };
    const damages: Damage[] = [];

    const found = await made.verify({ repair: async (_path, damage) => damages.push(damage) < 0 });

    assert.ok(deleted > 0);
    assert.deepEqual([found, damages], [[0, true, false], []]);
  });
