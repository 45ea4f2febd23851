import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FollowedEvents } from '#events/event-source';
import { LEASE } from '#generations/codec/small-records';
import { leaseKey } from '#generations/keys';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { ARCHIVE_TIMES, openArchiveBucket } from '../bucket/archive-bucket.ts';
import { archiveDirectory } from './archive-directory.ts';
import { StorageArchive } from './storage-archive.ts';

const scratch = makeScratchDirectory('storage-archive');
after(() => rmSync(scratch, { recursive: true }));
const OPTIONS = {
  times: { ...ARCHIVE_TIMES, renewMs: 50 },
  retention: { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 },
};
const RENEWALS = 3;

function noEvents(): FollowedEvents {
  return new FollowedEvents(() => ({
    async *read() {},
    compacted: () => assert.fail('the archive reads no compacted events'),
  }));
}

test('an archive whose work fails begins again, once the reason is gone', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  fixture.init('a.git');
  const url = pathToFileURL(join(scratch, 'bucket')).href;
  const obstacle = join(archiveDirectory(storage, url), 'progress.json');
  mkdirSync(obstacle, { recursive: true });
  const problems: string[] = [];
  await using archive = await StorageArchive.start({
    ...{ ...OPTIONS, journal: noEvents(), storage, storages, url },
    observer: {
      problem: (error) => problems.push(String(error)),
      refused: (error) => assert.fail(error),
    },
  });
  await until(() => problems.length > 0, 'a problem');
  assert.match(problems[0] ?? '', /EISDIR/);
  await until(() => archive.status().state === 'waiting', 'the end of the first attempt');
  const settling = archive.settle();

  rmdirSync(obstacle);

  await settling;
  await until(() => archive.status().isComplete, 'the comparison');
  const { archivedEvent, failed, state } = archive.status();
  assert.deepEqual({ archivedEvent, failed, state }, { archivedEvent: 0, failed: [], state: 'live' });
});

// Symptom: the process before reported that another server writes the archive, and the new one
// compared all repositories.
test('the archive of a restart begins when that of the process before has ended', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const url = pathToFileURL(join(scratch, 'handed-over')).href;
  const problems: string[] = [];
  const add = (error: unknown): void => void problems.push(String(error));
  const observer = { problem: add, refused: add };
  const journal = noEvents();
  const options = { ...OPTIONS, journal, storage, storages, url, observer };
  const { promise: takenOver, resolve } = Promise.withResolvers<void>();
  const before = await StorageArchive.start(options);
  await until(() => before.status().state === 'live');
  const renewals = async (): Promise<number> => {
    const lease = await before.bucket.direct.get(leaseKey('archive'));
    return lease === undefined ? 0 : LEASE.open(lease.content).counter;
  };

  await using next = await StorageArchive.start({ ...options, takenOver });
  const settling = next.settle();
  const last = await renewals();
  await until(async () => (await renewals()) >= last + RENEWALS);
  assert.equal(before.status().state, 'live');
  assert.equal(next.status().state, 'waiting');
  assert.equal(next.status().behindMs, 0);
  journal.moveTo({ last: 1, oldest: 0 });
  await until(() => next.status().behindMs > 0, 'the change that waits');
  await before[Symbol.asyncDispose]();
  resolve();

  await settling;
  const { behindMs, state } = next.status();
  assert.deepEqual({ behindMs, state }, { behindMs: 0, state: 'live' });
  assert.deepEqual(problems, []);
});

// Symptom: after a stop, another server waited until the lease of the former one had expired.
test('an archive that ends gives its lease up', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const url = pathToFileURL(join(scratch, 'given-up')).href;
  const observer = { problem: assert.ifError, refused: assert.ifError };
  const archive = await StorageArchive.start({
    ...{ ...OPTIONS, journal: noEvents(), storage, storages, url, observer },
  });
  await until(() => archive.status().state === 'live');
  const bucket = await openArchiveBucket(url, { signal: new AbortController().signal });
  const lease = async () => {
    const object = await bucket.direct.get(leaseKey('archive'));
    return object && LEASE.open(object.content).state;
  };
  assert.equal(await lease(), 'live');

  await archive[Symbol.asyncDispose]();

  assert.equal(await lease(), 'released');
});

test('a verification that is cancelled while the archive waits ends at once', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const url = pathToFileURL(join(scratch, 'waiting')).href;
  const observer = { problem: assert.ifError, refused: assert.ifError };
  const takenOver = new Promise<void>(() => {});
  await using archive = await StorageArchive.start({
    ...{ ...OPTIONS, journal: noEvents(), storage, storages, url, observer, takenOver },
  });
  assert.equal(archive.status().state, 'waiting');
  const ending = new AbortController();
  const reason = new Error('the client has left');

  const verifying = archive.verify(false, ending.signal).next();
  ending.abort(reason);

  await assert.rejects(verifying, (error) => error === reason);
});
