import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import {
  CallError,
  type Connection,
  dialSidechannel,
  postUploadPack,
  SidechannelRegistry,
} from '#client/index';
import { initRepository } from '#testkit/repositories/init-repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { isRunning, metrics, ready, readyWorkers, repository, sumOf } from './family.ts';
import { HELD_RPC, type Held, hold, IN_PROGRESS, QUEUED } from './held-calls.ts';
import { type KillPoint, MOMENTS } from './kill-at-message.ts';

const MAX = 2;
const CONFIG = `[workers]
max = 2
[[concurrency]]
rpc = "${HELD_RPC}"
max_per_repo = ${MAX}
max_queue_size = 10
[pack_objects_limiting]
max_total = 1
`;
const SETTINGS = { start: 1, tickMs: 50, choice: 'worker', backOffMs: 10, maxBackOffMs: 10 };
const objectPool = {
  repository: {
    storageName: 'default',
    relativePath: '@pools/4e/07/4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce.git',
  },
};
/** Longest wait for something that another call holds. */
const WAIT_MS = 20_000;
/** Messages about leases that the worker of a conversation sends, and that it receives. */
const MESSAGES = { send: 11, receive: 7 };
/** Share of the kills that `make test` tries. */
const SHARE = 0.1;

const POINTS = MOMENTS.flatMap((moment) =>
  Array.from(
    { length: moment.endsWith('send') ? MESSAGES.send : MESSAGES.receive },
    (_, index): KillPoint => ({ at: index + 1, moment }),
  ),
);

/** Connections to a server of two processes. */
interface Sides {
  readonly gitaly: GitalyProcess;
  /** Served by the first process. */
  readonly own: Connection;
  /** Served by its worker. */
  readonly worker: Connection;
  readonly registry: SidechannelRegistry;
  readonly tip: string;
}

test('a worker killed at any message loses no lease, and no limit is exceeded', async (context) => {
  const directory = makeScratchDirectory('leases');
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'kill.json');
  const points = seededShare(POINTS, SHARE);
  const note = (index: number): void => writeFileSync(file, JSON.stringify(points[index] ?? NEVER));
  note(0);
  await using gitaly = await startGitalyProcess({
    everyListener: true,
    config: CONFIG,
    preload: join(import.meta.dirname, 'kill-at-message.ts'),
    env: { KILL_FILE: file, GITALY_TESTING_WORKERS: JSON.stringify(SETTINGS) },
  });
  initRepository(join(gitaly.directory, 'default', repository.relativePath), { commits: 1 });
  await ready(gitaly, 1);
  const registry = new SidechannelRegistry();
  const open = (address: string): Promise<Connection> => dialSidechannel(address, registry, { retry: false });
  await using own = await open(gitaly.internalAddress);
  await own.objectPool.createObjectPool({ objectPool, origin: repository });
  const { commit } = await own.commit.findCommit({ repository, revision: Buffer.from('main') });

  for (const [index, point] of points.entries()) {
    note(index + 1); // for the next worker
    await using worker = await open(gitaly.address);
    const sides = { gitaly, own, worker, registry, tip: commit?.id ?? '' };
    await conversation(sides);
    const pid = readyWorkers(gitaly)[index] ?? 0;
    await until(() => !isRunning(pid), `not killed: ${JSON.stringify(point)}`);
    await checkLeases(sides, point);
    await ready(gitaly, index + 2);
  }
});

const NEVER: KillPoint = { at: 0, moment: MOMENTS[0] };

/**
 * Uses everything that the first process keeps for all: turns of a limit, with and without waiting,
 * the maintenance of a repository, places of packs, the borrowers of pools.
 */
async function conversation(sides: Sides): Promise<void> {
  const { gitaly, own, worker } = sides;
  const ownCalls = [hold(own)];
  await inProgress(gitaly, 1);
  const calls = [hold(worker), hold(worker)];
  const isGone = (call: Held): boolean => call.failed !== undefined;
  await until(async () => calls.every(isGone) || (await queued(gitaly)) === 1);
  ownCalls[0]?.end();
  await until(async () => calls.every(isGone) || (await queued(gitaly)) === 0);
  for (const call of calls) call.end();
  await Promise.all(calls.map(({ outcome }) => outcome));

  await worker.repository.optimizeRepository({ repository }).catch(ignoreUnavailable);
  await worker.objectPool.reduplicateRepository({ repository }).catch(ignoreUnavailable);
  await fetchBy(worker, sides).catch(ignoreUnavailable);
  await worker.objectPool.linkRepositoryToObjectPool({ repository, objectPool }).catch(ignoreUnavailable);
  await Promise.all(ownCalls.map(({ outcome }) => outcome));
}

/** Checks that everything is free again, and that there is not more of it than before. */
async function checkLeases({ gitaly, own, registry, tip }: Sides, point: KillPoint): Promise<void> {
  await inProgress(gitaly, 0);
  const calls = Array.from({ length: MAX + 1 }, () => hold(own));
  await inProgress(gitaly, MAX);
  await until(async () => (await queued(gitaly)) === 1, `one call waits after ${JSON.stringify(point)}`);
  for (const call of calls) call.end();
  assert.deepEqual(await Promise.all(calls.map(({ outcome }) => outcome)), ['OK', 'OK', 'OK']);
  const signal = AbortSignal.timeout(WAIT_MS);
  await own.objectPool.reduplicateRepository({ repository }, { signal });
  await own.objectPool.disconnectGitAlternates({ repository }, { signal });
  await fetchBy(own, { registry, tip }, signal);
}

async function inProgress(gitaly: GitalyProcess, count: number): Promise<void> {
  await until(async () => {
    const running = sumOf(await metrics(gitaly), IN_PROGRESS);
    assert.ok(running <= MAX, `${running} calls run`);
    return running === count;
  }, `${count} calls run`);
}

async function queued(gitaly: GitalyProcess): Promise<number> {
  return sumOf(await metrics(gitaly), QUEUED);
}

/** Fetches the branch; git computes a pack. */
async function fetchBy(
  connection: Connection,
  { registry, tip }: Pick<Sides, 'registry' | 'tip'>,
  signal?: AbortSignal,
): Promise<void> {
  const lines = ['ofs-delta', 'no-progress', `want ${tip}`, 'done'].map((line) => packet(`${line}\n`));
  const body = `${packet('command=fetch')}${packet('object-format=sha1')}0001${lines.join('')}${FLUSH}`;
  const stdout = new PassThrough();
  const pack = text(stdout);
  await postUploadPack(
    connection,
    registry,
    { stdin: Readable.from([Buffer.from(body)]), stdout },
    { repository, gitProtocol: 'version=2' },
    signal && { signal },
  ).finally(() => stdout.end());
  assert.match(await pack, /PACK/);
}

/** Calls of the killed process fail. */
function ignoreUnavailable(error: unknown): void {
  if (!(error instanceof CallError && error.code === 'UNAVAILABLE')) throw error;
}
