import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FollowedEvents } from '#events/event-source';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { Archive } from './archive.ts';
import { ARCHIVE_TIMES } from './bucket/archive-bucket.ts';
import { AnotherWriterError } from './bucket/writer-lease.ts';
import { archiveDirectory } from './publish/archive-directory.ts';
import { StorageArchive } from './publish/storage-archive.ts';

const scratch = makeScratchDirectory('archive');
after(() => rmSync(scratch, { recursive: true }));
const retention = { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 };

function noEvents(): FollowedEvents {
  return new FollowedEvents(() => ({
    async *read() {},
    compacted: () => assert.fail('the archive reads no compacted events'),
  }));
}

// Symptom: a server that was refused one of two archives continued to write the other one.
test('when an archive is refused, one that starts more slowly ends, too', async (context) => {
  await using other = await StorageFixture.create();
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  const [taken, slow] = ['taken', 'slow'].map((name) => pathToFileURL(join(scratch, name)).href);
  assert.ok(taken !== undefined && slow !== undefined);
  const observer = { problem: assert.ifError, refused: assert.ifError };
  await using writer = await StorageArchive.start({
    ...{ storage: other.storage, storages: other.storages, url: taken },
    ...{ journal: noEvents(), observer, retention, times: { ...ARCHIVE_TIMES, renewMs: 50 } },
  });
  await until(() => writer.status().state === 'live');
  const holder = join(archiveDirectory(storage, slow), 'holder'); // it is read until it is written
  mkdirSync(dirname(holder), { recursive: true });
  assert.equal(spawnSync('mkfifo', [holder]).status, 0);
  const disposal = context.mock.method(StorageArchive.prototype, Symbol.asyncDispose);
  let isRefused = false;
  const refused = (): void => {
    isRefused = true;
  };

  const starting = Archive.start({
    ...{ storages, lfs: undefined, retention },
    archived: [{ storage: storage.name, urls: [taken, slow], journal: noEvents() }],
    observer: () => ({ ...observer, refused }),
  }).catch((error: unknown) => error);
  await until(() => isRefused, 'the refusal');
  await writeFile(holder, 'slow');

  assert.ok((await starting) instanceof AnotherWriterError);
  assert.equal(disposal.mock.callCount(), 2);
});
