import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { FollowedEvents } from '#events/event-source';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { ARCHIVE_TIMES } from '../bucket/archive-bucket.ts';
import { archiveDirectory } from './archive-directory.ts';
import { StorageArchive } from './storage-archive.ts';

const scratch = makeScratchDirectory('storage-archive');
after(() => rmSync(scratch, { recursive: true }));

test('an archive whose work fails begins again, once the reason is gone', async () => {
  await using fixture = await StorageFixture.create();
  const { storage, storages } = fixture;
  fixture.init('a.git');
  const url = pathToFileURL(join(scratch, 'bucket')).href;
  const obstacle = join(archiveDirectory(storage, url), 'progress.json');
  mkdirSync(obstacle, { recursive: true });
  const journal = new FollowedEvents(() => ({
    async *read() {},
    compacted: () => assert.fail('the archive reads no compacted events'),
  }));
  const problems: string[] = [];
  await using archive = await StorageArchive.start({
    ...{ journal, storage, storages, url },
    times: { ...ARCHIVE_TIMES, renewMs: 50 },
    retention: { keepAllMs: 0, hourly: 0, daily: 0, weekly: 0, removedMs: 0 },
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
