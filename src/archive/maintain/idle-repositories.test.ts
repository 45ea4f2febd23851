import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Publisher } from '#generations/repository/publisher';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ARCHIVE_TIMES, type ArchiveBucket, chainOf, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { logOf } from '../log.ts';
import type { ArchivedRepository } from '../publish/archived-repository.ts';
import { OpenRepositories } from '../publish/open-repositories.ts';
import { type DueRepository, IdleRepositories } from './idle-repositories.ts';

const DAY_MS = 24 * 3600_000;
const RETENTION = { keepAllMs: DAY_MS, hourly: 0, daily: 0, weekly: 0, removedMs: 90 * DAY_MS };
const directory = makeScratchDirectory('idle');
after(() => rmSync(directory, { recursive: true }));
const objects = join(directory, 'objects.git');
initRepository(objects);

/** A bucket without a grace period, whose clock can be put forward, and whose requests are counted. */
async function openPlace(name: string) {
  const path = join(directory, name);
  mkdirSync(path);
  const place = { path, aheadMs: 0, reads: 0 };
  const times = { ...ARCHIVE_TIMES, graceMs: 0 };
  const { signal } = new AbortController();
  const opened = await openArchiveBucket(pathToFileURL(path).href, { signal, times });
  const counted = opened.environment.bucket;
  const get = counted.get.bind(counted);
  counted.get = async (key) => {
    place.reads++;
    return await get(key);
  };
  const clock = { ...opened.environment.clock, wallMs: () => Date.now() + place.aheadMs };
  const bucket: ArchiveBucket = { ...opened, environment: { ...opened.environment, clock } };
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const idle = new IdleRepositories(bucket, RETENTION);
  const due = async (): Promise<DueRepository[]> => await Array.fromAsync(idle.due(''));
  return { bucket, due, place, repositories: new OpenRepositories({ bucket, writer }), writer };
}

type Place = Awaited<ReturnType<typeof openPlace>>;

/** Writes a value with a pack of its own, and returns the number of the generation. */
async function write(archived: ArchivedRepository, value: string, settings = {}): Promise<number> {
  const { chain } = archived.owned.options;
  const oid = gitOutput(objects, ['hash-object', '-w', '--stdin'], value);
  const pack = outputSync('git', ['-C', objects, 'pack-objects', '--stdout', '-q'], { input: oid });
  return await new Publisher(archived.owned).publish({
    changes: [{ name: 'x', old: archived.owned.state?.references.get('x'), new: value }],
    settings,
    timeMs: Date.now(),
    newObjects: async () => ({ packs: [await chain.uploadPack(pack)] }),
  });
}

async function createAt({ repositories }: Place, path: string, settings = {}): Promise<ArchivedRepository> {
  const archived = await repositories.create(path, Date.now());
  await write(archived, path, { path, ...settings });
  await repositories.name(path, archived);
  return archived;
}

/** Returns the kinds of the objects that a repository has in the bucket. */
async function partsOf({ bucket }: Place, id: string): Promise<string[]> {
  const parts: string[] = [];
  for await (const page of bucket.environment.bucket.list(`r/${id}`))
    for (const { key } of page) parts.push(key.split('/')[2] ?? '');
  return [...new Set(parts)];
}

test('a removed repository is erased after its time, but not before all that borrow from it', async () => {
  const opened = await openPlace('removed');
  const { bucket, due, place, repositories, writer } = opened;
  const lender = await createAt(opened, 'lender.git');
  const fork = await createAt(opened, 'fork.git', { borrows: lender.id });
  await repositories.hold([lender.id], fork);
  for (const archived of [lender, fork]) await archived.maintain(RETENTION);
  await repositories.remove('lender.git', lender, Date.now());

  assert.deepEqual(await due(), []);
  place.aheadMs = RETENTION.removedMs;
  assert.deepEqual(await due(), []);
  await repositories.remove('fork.git', fork, Date.now());
  assert.deepEqual(await due(), [{ id: fork.id }]);

  await repositories.erase(fork.id, RETENTION);
  const log = logOf(bucket, 'lender.git');
  assert.equal((await log.next()).value?.kind, 'removed');
  const visited: string[] = [];
  for (let found = await due(); found.length > 0 && visited.length < 8; found = await due())
    for (const each of found) {
      if (!('id' in each)) throw new Error(JSON.stringify(each));
      visited.push(each.id);
      await writer.lease.renew();
      await repositories.erase(each.id, RETENTION);
    }
  assert.deepEqual(visited.sort(), [fork.id, lender.id, lender.id].sort());
  await Array.fromAsync(log);

  for (const { id } of [lender, fork]) {
    assert.deepEqual(await partsOf(opened, id), ['cp', 'floor', 'g']);
    assert.equal((await chainOf(bucket, id).follow()).state.isErased, true);
  }
  assert.deepEqual(await Array.fromAsync(logOf(bucket, 'lender.git')), []);
});

test('a generation that an interrupted erasure has left is deleted', async () => {
  const opened = await openPlace('interrupted');
  const { due, place, repositories, writer } = opened;
  const archived = await createAt(opened, 'a.git');
  await archived.maintain(RETENTION);
  await repositories.remove('a.git', archived, Date.now());
  place.aheadMs = RETENTION.removedMs;
  const { keys } = archived.owned.options.chain.options;
  const first = join(place.path, keys.generation(1));
  const content = readFileSync(first);
  const eraseAll = async (): Promise<void> => {
    for (let turn = 0; turn < 4 && (await due()).length > 0; turn++) {
      await writer.lease.renew();
      await repositories.erase(archived.id, RETENTION);
    }
  };
  await eraseAll();
  assert.equal(existsSync(first), false);

  writeFileSync(first, content);

  assert.deepEqual(await due(), [{ id: archived.id }]);
  await eraseAll();
  assert.equal(existsSync(first), false);
});

test('an idle repository loses old states without a checkpoint, and then costs no request', async () => {
  const opened = await openPlace('idle');
  const { bucket, due, place, writer } = opened;
  const archived = await createAt(opened, 'a.git');
  await archived.maintain(RETENTION);
  const first = await write(archived, 'one');
  await archived.maintain(RETENTION);
  const last = await write(archived, 'two');
  assert.deepEqual(await due(), [{ path: 'a.git' }]);
  await archived.maintain(RETENTION);
  assert.deepEqual(await due(), []);
  const { keys } = archived.owned.options.chain.options;
  const old = (Date.now() - 2 * DAY_MS) / 1000;
  for (const n of [first, last]) utimesSync(join(place.path, keys.checkpoint(n)), old, old);

  const restarted = new OpenRepositories({ bucket, writer });
  assert.deepEqual(await due(), [{ path: 'a.git' }]);
  const opening = await restarted.get('a.git');
  await writer.lease.renew();
  assert.ok(((await opening?.maintain(RETENTION)) ?? 0) > 0);

  assert.deepEqual(await due(), []);
  const reads = place.reads;
  assert.deepEqual(await due(), []);
  assert.equal(place.reads, reads);
  const left: string[] = [];
  for await (const page of bucket.environment.bucket.list(keys.checkpoints))
    left.push(...page.map(({ key }) => key));
  assert.deepEqual(
    left.length,
    2 * 2,
    'the first checkpoint was written a moment ago, and the last one stays',
  );
});

test('a chain that was left without a name is deleted, but not while its creation may go on', async () => {
  const opened = await openPlace('unnamed');
  const { bucket, due, repositories } = opened;
  const [empty, filled] = ['empty.git', 'filled.git'];
  const left = [await repositories.create(empty, Date.now()), await repositories.create(filled, Date.now())];
  await write(left[1] ?? assert.fail(), 'value', { path: filled });
  const renamed = await createAt(opened, 'renamed.git');
  await repositories.move('renamed.git', 'other.git', renamed); // killed before its state has the path
  const ids = left.map(({ id }) => id).sort();
  const isUnnamed = (each: DueRepository): boolean => 'unnamed' in each;

  assert.deepEqual(
    (await due()).filter(isUnnamed),
    ids.map((id) => ({ unnamed: id })),
  );
  for (const id of ids) await repositories.abandonUnnamed(id);
  assert.equal((await due()).filter(isUnnamed).length, ids.length);

  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const restarted = new OpenRepositories({ bucket, writer });
  for (const id of [...ids, renamed.id]) await restarted.abandonUnnamed(id);
  const givenUp = (await due()).filter((each) => 'givenUp' in each);
  assert.deepEqual(
    givenUp,
    ids.map((id) => ({ givenUp: id })),
  );
  await writer.lease.renew();
  for (const id of ids) assert.equal(await restarted.deleteGivenUp(id), true);
  for (const id of ids) assert.deepEqual(await partsOf(opened, id), []);
  assert.equal((await restarted.get('other.git'))?.id, renamed.id);
});
