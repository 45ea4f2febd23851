import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { type ArchivedServer, startArchived } from './archived-server.ts';
import { checkEqual, checkWhole, loseDisk, restoreAll, statesIn } from './check-archive.ts';
import { RandomChanges } from './random-changes.ts';

const KILLS = repetitions('ARCHIVE_BUCKET_KILLS', { short: 2, long: 60 });
/** Number of kills after which the disk is lost, too. */
const LOST_EVERY = KILLS < 10 ? 2 : 10;
/** Longest time for which the bucket runs between two kills. */
const MAX_LIFE_MS = 600;
/** Longest time for which it is gone. */
const MAX_GONE_MS = 50;
const seed = testSeed('ARCHIVE_SEED');
const server = await startS3Server();
const skip = server === undefined && 'Go is not installed';

/** Makes changes until a function has ended. @returns the number of changes that succeeded. */
async function changesDuring(
  { connection, server: gitaly }: ArchivedServer,
  random: () => number,
  work: () => Promise<void>,
): Promise<number> {
  const address = gitaly.addresses.unix ?? '';
  const changes = new RandomChanges({ connection, address, random, objectFormat: 'sha1' });
  let isOver = false;
  const changing = (async () => {
    while (!isOver) await changes.next();
  })();
  await work().finally(() => {
    isOver = true;
  });
  await changing;
  return [...changes.made.values()].reduce((sum, count) => sum + count, 0);
}

/** Replaces a server, whose disk is lost, by one that restores all from the bucket. */
async function replace(archived: ArchivedServer, directory: string, url: string): Promise<ArchivedServer> {
  const before = statesIn(archived.storage);
  await archived[Symbol.asyncDispose]();
  loseDisk(archived.storage, url);
  const next = await startArchived({ directory, url });
  await restoreAll(next);
  assert.deepEqual(statesIn(next.storage), before);
  return next;
}

test('an archive has all after kills of its bucket', { skip }, async (context) => {
  context.diagnostic(`ARCHIVE_SEED=${seed}`);
  assert.ok(server !== undefined);
  await using bucket = server;
  const random = seededRandom(seed);
  const directory = makeScratchDirectory('arb');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const place = join(directory, 's');
  mkdirSync(place);
  const url = await bucket.createBucket();
  let archived = await startArchived({ directory: place, url });
  let [changes, kills, lost] = [0, 0, 0];
  try {
    while (kills < KILLS) {
      changes += await changesDuring(archived, random, async () => {
        await delay(random() * MAX_LIFE_MS); // a random moment of the requests
        await bucket.kill();
      });
      changes += await changesDuring(archived, random, async () => {
        await delay(random() * MAX_GONE_MS);
        await bucket.restart();
      });
      await checkEqual(archived);
      kills++;
      if (kills % LOST_EVERY !== 0) continue;
      archived = await replace(archived, place, url);
      lost++;
    }
    await checkWhole(archived);
  } finally {
    context.diagnostic(`${kills} kills, ${lost} lost disks, ${changes} changes`);
    await archived[Symbol.asyncDispose]();
  }
});
