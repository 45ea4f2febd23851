import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { settledBytes } from '#testkit/measure/process-usage';
import { makeManyRepositories } from '#testkit/repositories/many-repositories';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { extent } from '#testkit/soak';
import { until } from '#testkit/until';

const REPOSITORIES = extent('ARCHIVED_REPOSITORIES', { short: 300, long: 10_000 });
const UPLOAD_MS = 1_800_000;
/** An idle server collects garbage after half a minute. */
const FREED_AFTER_MS = 60_000;
/** The same on a busy machine, which delays it. */
const SURELY_FREED_AFTER_MS = 180_000;
const MORE_BYTES = 30_000_000;
/** A look for the path, the chain, its first change, and the name. */
const REQUESTS_EACH = 4;
/** Requests of a start: the probe of the bucket, and the lease. */
const REQUESTS_OF_START = 80;
const IDLE_MS = 12_000;
/** A renewal of the lease takes 10 s; it is one request, or three. */
const IDLE_REQUESTS = 6;
const server = await startS3Server();
const skip = server === undefined && 'Go is not installed';

test(`the archive of ${REPOSITORIES} repositories takes little memory and few requests`, {
  skip,
}, async (context) => {
  assert.ok(server !== undefined);
  await using s3 = server;
  await using bucket = await startHttpFaultProxy(s3.port, () => undefined);
  const url = new URL(await s3.createBucket());
  url.searchParams.set('endpoint', `http://127.0.0.1:${bucket.port}`);
  const directory = makeScratchDirectory('arn');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'default');
  mkdirSync(path);
  makeManyRepositories(path, REPOSITORIES);
  const progress = join(archiveDirectory({ path }, url.href), 'progress.json');
  const isComplete = (): boolean => {
    try {
      return JSON.parse(readFileSync(progress, 'utf8')).toCompare === 'none';
    } catch {
      return false; // it was not written yet
    }
  };
  /** Returns the memory of an idle server. @param ready Waits for its work. */
  const memoryOf = async (archive?: string, ready?: () => Promise<void>, below = 0): Promise<number> => {
    await using gitaly = await startGitalyProcess({ directory, ...(archive && { archive }) });
    await ready?.();
    const withinMs = below === 0 ? FREED_AFTER_MS : SURELY_FREED_AFTER_MS;
    return await settledBytes(gitaly.pid, { withinMs, below });
  };
  const alone = await memoryOf();
  const below = alone + MORE_BYTES;

  const first = await memoryOf(url.href, () => until(isComplete, 'the first upload', UPLOAD_MS), below);

  const uploading = bucket.requests.length;
  let [starting, idle] = [0, 0];
  const restarted = await memoryOf(
    url.href,
    async () => {
      await delay(IDLE_MS); // nothing announces that a server has nothing to do
      starting = bucket.requests.length - uploading;
      await delay(IDLE_MS);
      idle = bucket.requests.length - uploading - starting;
    },
    below,
  );
  const more = [first, restarted].map((bytes) => Math.round((bytes - alone) / 1e6));
  context.diagnostic(`${more.join(' and ')} MB more; ${uploading}, ${starting} and ${idle} requests`);
  assert.ok(Math.max(first, restarted) < below, `${more.join(' and ')} MB more`);
  assert.ok(uploading <= REQUESTS_EACH * (REPOSITORIES + 1) + REQUESTS_OF_START, `${uploading} requests`);
  assert.ok(starting <= REQUESTS_OF_START, `${starting} requests of a start`);
  assert.ok(idle <= IDLE_REQUESTS, `${idle} requests of an idle server`);
});
