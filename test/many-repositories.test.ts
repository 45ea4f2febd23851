import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { processesIn, residentBytes, settledBytes } from '#testkit/measure/process-usage';
import { makeManyRepositories, pathOfMany } from '#testkit/repositories/many-repositories';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent } from '#testkit/soak';
import { until } from '#testkit/until';

const REPOSITORIES = extent('MANY_REPOSITORIES', { short: 1000, long: 10_000 });
const CALLS_AT_ONCE = 16;
/** Default of `[git] catfile_cache_size`. */
const BUDGET = 100;
/** An idle cat-file process lives ten seconds. */
const GONE_AFTER_MS = 15_000;
/** An idle server collects garbage after half a minute; a busy machine delays it. */
const FREED_AFTER_MS = 45_000;
/** The short run looks at the memory before it has settled. */
const MIDDLE_MS = extent('MANY_REPOSITORIES_SECONDS', { short: 5, long: 45 }) * 1000;
const WARM_UP_CALLS = 5000;
/** Half of the repositories add less. The heap keeps up to 30 MiB of what it once needed. */
const MEMORY_LEFT_BYTES = 40 * 1024 ** 2;
const HALF = Math.floor(REPOSITORIES / 2);

test(`${REPOSITORIES} repositories that are used once leave no process and memory`, async (context) => {
  await using gitaly = await startGitalyProcess();
  const storage = join(gitaly.directory, 'default');
  const oid = makeManyRepositories(storage, REPOSITORIES + CALLS_AT_ONCE);
  const connection = await gitaly.connect();
  const touch = async (number: number): Promise<void> => {
    const repository = { storageName: 'default', relativePath: pathOfMany(number) };
    const { commit } = await connection.commit.findCommit({ repository, revision: Buffer.from('main') });
    assert.equal(commit?.id, oid);
  };
  // As many calls for few repositories first bring the heap to its working size; further growth is
  // the cost of repositories.
  await inTurns(Math.min(REPOSITORIES, WARM_UP_CALLS), (number) =>
    touch(REPOSITORIES + (number % CALLS_AT_ONCE)),
  );
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, catFiles(gitaly));
  }, 100);
  const startedAt = performance.now();
  let middle = 0;
  let tookMs = 0;
  try {
    await inTurns(HALF, touch);
    tookMs = performance.now() - startedAt;
    middle = await settledBytes(gitaly.pid, { withinMs: MIDDLE_MS });
    const startedAgainAt = performance.now();
    await inTurns(HALF, (number) => touch(HALF + number));
    tookMs += performance.now() - startedAgainAt;
  } finally {
    clearInterval(watch);
  }
  const highest = residentBytes(gitaly.pid);

  // A process that is signalled to end no longer counts, but runs until it has received the signal.
  assert.ok(most <= BUDGET + 2 * CALLS_AT_ONCE, `${most} processes at once`);
  await until(() => catFiles(gitaly) === 0, 'no process is left', GONE_AFTER_MS);
  const left =
    (await settledBytes(gitaly.pid, { withinMs: FREED_AFTER_MS, below: middle + MEMORY_LEFT_BYTES })) -
    middle;
  context.diagnostic(
    `${Math.round(tookMs)} ms, ${most} processes at most, ${mib(highest - middle)} MiB more at the ` +
      `end than in the middle, ${mib(left)} MiB left`,
  );
  assert.ok(left < MEMORY_LEFT_BYTES, `${mib(left)} MiB are left`);
});

const mib = (bytes: number): number => Math.round(bytes / 1024 ** 2);
const catFiles = (gitaly: GitalyProcess): number =>
  processesIn(join(gitaly.directory, 'default')).filter((line) => line.includes(' cat-file ')).length;

/** Does something for each number below a limit, some concurrently. */
async function inTurns(limit: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const turn = async (): Promise<void> => {
    while (next < limit) await work(next++);
  };
  await Promise.all(Array.from({ length: CALLS_AT_ONCE }, turn));
}
