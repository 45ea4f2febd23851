import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
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

// The first and the last generation of each start of the server were listed for ever.
test('the log has each generation that can be restored, and no other', async () => {
  const times = { ...ARCHIVE_TIMES, graceMs: 0 };
  const bucket = await openArchiveBucket(pathToFileURL(directory).href, { signal, times });
  const writer = new WriterLease(bucket, 'test');
  await writer.lease.start({ predecessorEnded: true });
  const repositories = new OpenRepositories({ bucket, writer });
  const archived = await repositories.create(PATH, Date.now());
  const write = async (value: string): Promise<number> =>
    await new Publisher(archived.owned).publish({
      changes: [{ name: 'x', old: archived.owned.state?.references.get('x'), new: value }],
      settings: { path: PATH },
      timeMs: Date.now(),
      newObjects: async () => ({}),
    });
  const log = async (): Promise<number[]> =>
    (await Array.fromAsync(logOf(bucket, PATH))).map(({ generation }) => generation);
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
