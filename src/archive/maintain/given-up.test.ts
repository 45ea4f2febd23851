import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ProtocolError } from '#generations/errors';
import { Publisher } from '#generations/repository/publisher';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { chainOf, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { WriterLease } from '../bucket/writer-lease.ts';
import { logOf } from '../log.ts';
import type { ArchivedRepository } from '../publish/archived-repository.ts';
import { OpenRepositories } from '../publish/open-repositories.ts';
import { findState } from '../restore/restore-repository.ts';
import { noteGivenUp } from './given-up.ts';
import { IdleRepositories } from './idle-repositories.ts';

const RETENTION = { keepAllMs: 24 * 3600_000, hourly: 0, daily: 0, weekly: 0, removedMs: 1 };
const HOUR_S = 3600;
const directory = makeScratchDirectory('given-up');
after(() => rmSync(directory, { recursive: true }));
const { signal } = new AbortController();

/** Opens a bucket as a server that has created nothing of it: it remembers nothing. */
async function open(name: string) {
  const path = join(directory, name);
  mkdirSync(path, { recursive: true });
  const bucket = await openArchiveBucket(pathToFileURL(path).href, { signal });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start();
  const repositories = new OpenRepositories({ bucket, writer });
  const idle = new IdleRepositories(bucket, RETENTION);
  const due = () => Array.fromAsync(idle.due(''));
  return { bucket, due, path, repositories };
}

type Opened = Awaited<ReturnType<typeof open>>;

async function write(archived: ArchivedRepository, settings: Record<string, string>): Promise<void> {
  const changes = [{ name: 'x', old: archived.owned.state?.references.get('x'), new: 'value' }];
  const { chain } = archived.owned.options;
  const newObjects = async () => ({ packs: [await chain.uploadPack(Buffer.from('pack'))] });
  await new Publisher(archived.owned).publish({ changes, settings, newObjects });
}

async function create({ repositories }: Opened, path: string, settings = {}): Promise<ArchivedRepository> {
  const archived = await repositories.create(path, Date.now());
  await write(archived, { path, ...settings });
  await archived.maintain(RETENTION);
  await write(archived, { event: 'later' });
  await repositories.name(path, archived);
  return archived;
}

/** Damages the last generation, which is after the floor. */
function damage({ path }: Opened, id: string): void {
  const file = join(
    path,
    'r',
    id,
    'g',
    readdirSync(join(path, 'r', id, 'g'))
      .sort()
      .at(-1) ?? '',
  );
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
  writeFileSync(file, bytes);
}

/** Makes the note older than the grace of the collector. */
function makeOlder({ path }: Opened, id: string): void {
  const time = Date.now() / 1000 - HOUR_S;
  utimesSync(join(path, 'r', id, 'given-up'), time, time);
}

function filesOf({ path }: Opened, id: string): string[] {
  const folder = join(path, 'r', id);
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

test('a chain that was given up is deleted after the grace, and stands in no way before', async () => {
  const first = await open('alone');
  const { id } = await create(first, 'a.git');
  damage(first, id);
  const opened = await open('alone');
  const { bucket, due, repositories } = opened;
  await assert.rejects(due(), { problem: 'damaged' });
  await repositories.abandon('a.git');
  const next = await create(opened, 'a.git');

  const isOther = ({ id: each }: { readonly id: string }): boolean => each === next.id;
  assert.ok((await Array.fromAsync(logOf(bucket, 'a.git'))).every(isOther));
  await assert.rejects(findState(bucket, 'a.git', { timeMs: 1 }), { code: 'NOT_FOUND' });
  const isGivenUp = (each: object): boolean => 'givenUp' in each;
  assert.deepEqual((await due()).filter(isGivenUp), []);
  assert.equal(await repositories.deleteGivenUp(id), false);
  makeOlder(opened, id);
  assert.deepEqual((await due()).filter(isGivenUp), [{ givenUp: id }]);
  assert.equal(await repositories.deleteGivenUp(id), true);

  assert.deepEqual(filesOf(opened, id), []);
  assert.equal((await chainOf(bucket, next.id).follow()).state.references.get('x'), 'value');
  assert.equal((await chainOf(bucket, id).follow()).state.n, 0);
});

// A server that gives up a chain may be killed before it removes the name.
test('a chain that was given up stays while it has its name', async () => {
  const opened = await open('named');
  const { bucket, repositories } = opened;
  const { id } = await create(opened, 'a.git');
  await noteGivenUp(bucket, id, 'a.git');
  makeOlder(opened, id);

  assert.equal(await repositories.deleteGivenUp(id), false);
  assert.equal((await chainOf(bucket, id).follow()).state.references.get('x'), 'value');
  await repositories.abandon('a.git');
  makeOlder(opened, id);
  assert.equal(await repositories.deleteGivenUp(id), true);
});

test('a chain that was given up stays while the last state of another one borrows from it', async () => {
  const first = await open('borrowed');
  const lender = await create(first, 'lender.git');
  const fork = await create(first, 'fork.git', { borrows: lender.id });
  await first.repositories.hold([lender.id], fork);
  damage(first, lender.id);
  const opened = await open('borrowed');
  await opened.repositories.abandon('lender.git');
  makeOlder(opened, lender.id);

  assert.equal(await opened.repositories.deleteGivenUp(lender.id), false);
  const borrowing = await opened.repositories.get('fork.git');
  assert.ok(borrowing !== undefined);
  await write(borrowing, { borrows: '' });
  assert.equal(await opened.repositories.deleteGivenUp(lender.id), true);
});

test('a chain that was given up is read as damaged or as absent while it is deleted', async () => {
  const first = await open('read');
  const { id } = await create(first, 'a.git');
  damage(first, id);
  const opened = await open('read');
  const { bucket, repositories } = opened;
  await repositories.abandon('a.git');
  makeOlder(opened, id);
  const { bucket: objects } = bucket.environment;
  const remove = objects.delete.bind(objects);
  const seen = new Set<string>();
  objects.delete = async (keys) => {
    for (const key of keys) {
      await remove([key]);
      seen.add(
        await chainOf(bucket, id)
          .follow()
          .then(
            ({ state }) => `head ${state.n}`,
            (error: unknown) => (error instanceof ProtocolError ? error.problem : String(error)),
          ),
      );
    }
  };

  assert.equal(await repositories.deleteGivenUp(id), true);

  assert.deepEqual([...seen], ['damaged', 'head 0']);
});
