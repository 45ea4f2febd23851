import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { pastState } from '#generations/chain/past-state';
import { Publisher } from '#generations/repository/publisher';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ARCHIVE_TIMES, type ArchiveBucket, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { ArchivedRepository } from '../publish/archived-repository.ts';
import { joinSmallPacks } from './join-small-packs.ts';

const HOUR_MS = 3600_000;
const directory = makeScratchDirectory('retaining');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();
const NOTHING = { hourly: 0, daily: 0, weekly: 0, removedMs: 0 };
const id = 'id';

/** Opens a directory as a bucket, whose collector does not wait. */
async function openBucket(name: string): Promise<ArchiveBucket & { readonly path: string }> {
  const path = join(directory, name);
  mkdirSync(path);
  const times = { ...ARCHIVE_TIMES, graceMs: 0 };
  return { ...(await openArchiveBucket(pathToFileURL(path).href, { signal, times })), path };
}

/** Returns a pack of one new object. */
function packOf(content: string): Buffer {
  const path = join(directory, 'objects.git');
  if (!existsSync(path)) initRepository(path);
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], content);
  return outputSync('git', ['-C', path, 'pack-objects', '--stdout', '-q'], { input: oid });
}

async function startArchived(bucket: ArchiveBucket) {
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const archived = new ArchivedRepository({ bucket, writer, id });
  await archived.create(Date.now());
  const publisher = new Publisher(archived.owned);
  const { chain } = archived.owned.options;
  /** Writes a value with a pack of its own. */
  const write = async (value: string): Promise<number> =>
    await publisher.publish({
      changes: [{ name: 'x', old: archived.owned.state?.references.get('x'), new: value }],
      timeMs: Date.now(),
      newObjects: async () => ({ packs: [await chain.uploadPack(packOf(value))] }),
    });
  const valueAt = async (generation: number): Promise<string | undefined> =>
    (await pastState(chain, { generation }))?.references.get('x');
  return { archived, chain, valueAt, write, writer };
}

test('the collector keeps the chosen checkpoints with their packs, and later generations', async () => {
  const bucket = await openBucket('kept');
  const { archived, chain, valueAt, write, writer } = await startArchived(bucket);
  const { maintenance } = archived;
  const checkpoints: number[] = [];
  for (const value of ['a', 'b', 'c', 'd', 'e', 'f']) {
    const n = await write(value);
    if ('bdf'.includes(value)) checkpoints.push((await maintenance.checkpoint()) ?? n);
  }
  const [first = 0, second = 0, third = 0] = checkpoints;
  await maintenance.repack((head) => joinSmallPacks(bucket, chain, head, 'sha1'));
  await maintenance.checkpoint();
  for (const [n, hours] of [
    [first, 5],
    [second, 3],
  ] as const) {
    const old = (Date.now() - hours * HOUR_MS) / 1000;
    utimesSync(join(bucket.path, chain.options.keys.checkpoint(n)), old, old);
  }

  await writer.lease.renew();
  assert.equal(await maintenance.prune({ ...NOTHING, keepAllMs: 100 * HOUR_MS }), 0);
  assert.ok((await maintenance.prune({ ...NOTHING, keepAllMs: HOUR_MS, hourly: 10 })) > 0);
  assert.deepEqual(await Promise.all([first, second, second + 1, third].map(valueAt)), ['b', 'd', 'e', 'f']);
  await assert.rejects(valueAt(first + 1), { problem: 'missing' });
  const packsOf = async (n: number) => [...((await pastState(chain, { generation: n }))?.packs ?? [])];
  for (const name of [...(await packsOf(first)), ...(await packsOf(third))])
    assert.ok((await bucket.environment.bucket.get(chain.options.keys.pack(name))) !== undefined, name);

  await archived.maintain({ ...NOTHING, keepAllMs: 0 });
  await writer.lease.renew();
  await archived.maintain({ ...NOTHING, keepAllMs: 0 });
  assert.equal((await chain.follow()).state.references.get('x'), 'f');
  await assert.rejects(valueAt(second), { problem: 'missing' });
  const names: string[] = [];
  for await (const page of bucket.environment.bucket.list(chain.options.keys.packs))
    names.push(...page.map(({ key }) => key));
  assert.equal(names.length, 1);
});

test('large packs that cannot be joined cost no generation', async () => {
  const bucket = await openBucket('large');
  const { archived, chain, write } = await startArchived(bucket);
  const [KEPT, LARGE_BYTES, PACKS] = [{ ...NOTHING, keepAllMs: HOUR_MS }, 5 * 2 ** 20, 33];
  await write('a');
  const names: string[] = [];
  for (let count = 0; count < PACKS; count++)
    names.push(await chain.uploadPack(Buffer.alloc(LARGE_BYTES, count)));
  await archived.maintenance.repack(async () => ({ add: names, remove: [] }));
  await archived.maintain(KEPT);
  const { n } = await archived.head();

  await archived.maintain(KEPT);

  assert.deepEqual([(await archived.head()).n, archived.hasChanged], [n, false]);
});
