import assert from 'node:assert/strict';
import { rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Publisher } from '#generations/repository/publisher';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ARCHIVE_TIMES, openArchiveBucket } from './bucket/archive-bucket.ts';
import { WriterLease } from './bucket/writer-lease.ts';
import { logOf } from './log.ts';
import { OpenRepositories } from './publish/open-repositories.ts';
import { findState } from './restore/restore-repository.ts';

const directory = makeScratchDirectory('archive-log');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();
const NOTHING_KEPT = { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };
const PATH = 'a.git';
const HOUR_MS = 3_600_000;

/** Opens an archive in a new bucket. */
async function given(name: string) {
  const times = { ...ARCHIVE_TIMES, graceMs: 0 };
  const bucket = await openArchiveBucket(pathToFileURL(join(directory, name)).href, { signal, times });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  const archived = await repositories.create(PATH, Date.now());
  const write = async (value: string): Promise<number> =>
    await new Publisher(archived.owned).publish({
      changes: [{ name: 'x', old: archived.owned.state?.references.get('x'), new: value }],
      settings: { path: PATH },
      timeMs: Date.now(),
      newObjects: async () => ({}),
    });
  const log = async () => await Array.fromAsync(logOf(bucket, PATH));
  return { archived, bucket, log, repositories, write, writer };
}

// The first and the last generation of each start of the server were listed for ever.
test('the log has each generation that can be restored, and no other', async () => {
  const { archived, bucket, log: logged, repositories, write, writer } = await given('each');
  const log = async () => (await logged()).map(({ generation }) => generation);
  const first = await write('one');
  await repositories.name(PATH, archived);
  const covered = await write('two');
  await archived.maintenance.checkpoint();
  const last = await write('three');

  assert.deepEqual(await log(), [last, covered, first, first - 1]);
  await writer.lease.renew();
  assert.ok((await archived.maintenance.prune(NOTHING_KEPT)) > 0);
  assert.deepEqual(await log(), [last, covered]);
  for (const generation of await log())
    assert.equal((await findState(bucket, PATH, { generation })).state.n, generation);
});

// Symptom: hourly, daily and weekly states were not listed, although they could be restored.
test('the log has checkpoints that are kept without their generations', async () => {
  const { archived, bucket, log, repositories, write, writer } = await given('checkpoints');
  await write('one');
  await repositories.name(PATH, archived);
  const early = await write('two');
  await archived.maintenance.checkpoint();
  const { keys } = archived.owned.options.chain.options;
  const earlier = new Date(Date.now() - 2 * HOUR_MS);
  utimesSync(join(directory, 'checkpoints', keys.checkpoint(early)), earlier, earlier);
  await write('three');
  await archived.maintenance.checkpoint();
  await writer.lease.renew();

  assert.ok((await archived.maintenance.prune({ ...NOTHING_KEPT, hourly: 24 })) > 0);

  assert.equal(await archived.owned.options.chain.generation(early), undefined);
  assert.equal((await findState(bucket, PATH, { generation: early })).state.references.get('x'), 'two');
  const read: string[] = [];
  const objects = bucket.environment.bucket;
  const get = objects.get.bind(objects);
  objects.get = async (key) => {
    read.push(key);
    return await get(key);
  };
  const [last, listed, ...others] = await log();
  // Of a large repository, those of eight states at once would fill the memory.
  assert.ok(!read.includes(keys.references(early)), 'the references of a listed state are not read');
  assert.equal(last?.kind, 'write');
  assert.partialDeepStrictEqual(listed, { generation: early, kind: 'checkpoint' });
  assert.deepEqual(others, []);
});

test('the log has all generations after a checkpoint that is kept without those before it', async () => {
  const { archived, bucket, log, repositories, write, writer } = await given('later');
  await write('one');
  await repositories.name(PATH, archived);
  const early = await write('two');
  await archived.maintenance.checkpoint();
  const { keys } = archived.owned.options.chain.options;
  const earlier = new Date(Date.now() - 2 * HOUR_MS);
  utimesSync(join(directory, 'later', keys.checkpoint(early)), earlier, earlier);
  const later = [await write('three'), await write('four')];
  await archived.maintenance.checkpoint();
  await writer.lease.renew();

  assert.ok((await archived.maintenance.prune({ ...NOTHING_KEPT, keepAllMs: HOUR_MS })) > 0);

  const listed = (await log()).map(({ generation }) => generation);
  assert.deepEqual(listed, [...later.toReversed(), early]);
  for (const generation of listed)
    assert.equal((await findState(bucket, PATH, { generation })).state.n, generation);
});
