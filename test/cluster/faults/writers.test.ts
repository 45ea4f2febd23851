import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { extent, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { reportedLoss } from './checks.ts';
import { choicesOf } from './choices.ts';
import { FaultCluster, type FaultNode, type FaultPraefect } from './fault-cluster.ts';
import { FAULTS } from './fault-kinds.ts';
import { ReferenceWriter } from './reference-writer.ts';
import { startPushers } from './start-pushers.ts';

const SECONDS = repetitions('CLUSTER_WRITERS_SECONDS', { short: 6, long: 600 });
const WRITERS = extent('CLUSTER_WRITERS', { short: 4, long: 20 });
const SEED = testSeed('CLUSTER_WRITERS_SEED');
const VALUES = 64;
const MAX_FAULT_MS = extent('CLUSTER_WRITERS_FAULT_MS', { short: 2000, long: 8000 });
/** Time after a fault in which calls may still fail: the nodes' health is checked. */
const SETTLE_MS = 12_000;
/** Time without a fault in which no call may fail. */
const CALM_MS = extent('CLUSTER_WRITERS_CALM_MS', { short: 1500, long: 6000 });
const RECOVERY_MS = 150_000;
/** The short form ends soon after its fault, for which the order of writes waits. */
const LEAST_WRITES = extent('CLUSTER_WRITERS_LEAST', { short: 1, long: 2 * WRITERS });
const KINDS = [
  'a node is stopped',
  'a node is killed',
  'a Praefect is killed',
  'a Praefect is killed between votes',
  'a Praefect is killed before it records a write',
] as const satisfies readonly (keyof typeof FAULTS)[];

/** Times in which no call may fail. */
interface Calm {
  readonly fromMs: number;
  readonly toMs: number;
}

test('no acknowledged write or deletion of a reference is lost by kills and stops', {
  skip: withoutOwnPostgres,
}, async (context) => {
  context.diagnostic(`CLUSTER_WRITERS_SEED=${SEED}`);
  await using cluster = await FaultCluster.start({ isOrdered: true });
  const { writers, replicaPath, relativePath } = await startWriters(cluster);
  const stop = new AbortController();
  const writing = Promise.all(writers.map((writer) => writer.writeOn(stop.signal)));
  let calms: readonly Calm[] = [];
  try {
    calms = await disturb(
      cluster,
      (text) => context.diagnostic(text),
      async () => {
        for (const praefect of cluster.praefects)
          await checkReplicas(cluster, { praefect, writers, replicaPath, relativePath });
      },
    );
  } finally {
    stop.abort();
    await writing;
  }

  const [writes, failures] = [
    writers.map(({ successes }) => successes),
    writers.flatMap((each) => each.failures),
  ];
  context.diagnostic(`acknowledged: ${writes.join(', ')}; failed: ${failures.length}`);
  await checkRecovery(cluster, { writers, replicaPath });
  const unexplained = failures.filter(({ startedAtMs, endedAtMs }) =>
    calms.some(({ fromMs, toMs }) => startedAtMs >= fromMs && endedAtMs <= toMs),
  );
  assert.deepEqual(unexplained, [], 'calls that failed without a fault');
  const total = writes.reduce((sum, count) => sum + count, 0);
  assert.ok(total >= LEAST_WRITES, `${total} writes`);
});

/** Makes one fault after the other, until the time is over. Returns the times without one. */
async function disturb(
  cluster: FaultCluster,
  note: (text: string) => void,
  check: () => Promise<void>,
): Promise<readonly Calm[]> {
  const choices = choicesOf(SEED);
  const calms: Calm[] = [];
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) {
    const fromMs = performance.now();
    await delay(CALM_MS);
    calms.push({ fromMs, toMs: performance.now() });
    const begun = performance.now();
    const kind = choices.of(KINDS);
    const heal = await FAULTS[kind](cluster, choices);
    await delay(choices.below(MAX_FAULT_MS));
    try {
      await check();
    } finally {
      await heal();
    }
    note(`${kind}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    await delay(Math.min(SETTLE_MS, Math.max(0, end - performance.now())));
    await check();
  }
  return calms;
}

interface StartedWriters {
  readonly writers: readonly ReferenceWriter[];
  readonly relativePath: string;
  /** Path on the nodes' disks. */
  readonly replicaPath: string;
}

/** Creates a repository with commits, and a writer for each branch. */
async function startWriters(cluster: FaultCluster): Promise<StartedWriters> {
  const { paths, pushers } = await startPushers(cluster, { repositories: 1, branches: 1 });
  const [pusher] = pushers;
  assert.ok(pusher);
  const { directory, relativePath } = pusher;
  const stream = Array.from(
    { length: VALUES },
    (_, index) => `commit refs/heads/values\ncommitter C <c@x> ${1_600_000_000 + index} +0000\ndata 1\nx\n`,
  );
  gitOutput(directory, ['fast-import', '--quiet'], stream.join(''));
  const [route] = cluster.praefects[0]?.routes ?? [];
  // The gateway is in this process.
  const pushed = await run(
    'git',
    ['-C', directory, 'push', '-q', `${route?.url}/${relativePath}`, 'values'],
    {
      env: route?.env ?? {},
    },
  );
  assert.equal(pushed.code, 0, pushed.stderr);
  const oids = gitOutput(directory, ['rev-list', 'values']).split('\n');
  const connections = cluster.praefects.map(({ connection }) => connection);
  const writers = Array.from(
    { length: WRITERS },
    (_, index) => new ReferenceWriter(`writer-${index}`, { relativePath, connections, oids }),
  );
  return { writers, relativePath, replicaPath: paths.get(relativePath) ?? relativePath };
}

/** Checks that each replica which a Praefect reports as up to date has what was acknowledged before. */
async function checkReplicas(
  cluster: FaultCluster,
  { praefect, relativePath, replicaPath, writers }: StartedWriters & { readonly praefect: FaultPraefect },
): Promise<void> {
  const acknowledged = writers.map((writer) => writer.acknowledged);
  const loss = await reportedLoss(praefect).catch(() => undefined);
  if (loss === undefined) return; // it does not respond now
  for (const node of cluster.nodes) {
    if ((loss.behind.get(relativePath)?.get(node.storage) ?? 0n) > 0n) continue;
    const references = await referencesOn(node, replicaPath);
    for (const [index, writer] of writers.entries()) {
      const value = references.get(writer.branch) ?? '';
      const message = `${node.storage} is reported as up to date, but ${writer.branch} is at "${value}"`;
      assert.ok(writer.mayHave(value, acknowledged[index] ?? 0), message);
    }
  }
}

/** Checks after all faults that each node has the last write of each branch. */
async function checkRecovery(
  cluster: FaultCluster,
  { replicaPath, writers }: Pick<StartedWriters, 'replicaPath' | 'writers'>,
): Promise<void> {
  for (const writer of writers)
    await until(
      () => writer.write(),
      () => `${writer.branch} can be written again: ${writer.failures.at(-1)?.error}`,
      RECOVERY_MS,
    );
  for (const praefect of cluster.praefects)
    await until(
      async () => (await reportedLoss(praefect)).behind.size === 0,
      'all replicas are up to date',
      RECOVERY_MS,
    );
  for (const node of cluster.nodes) {
    const references = await referencesOn(node, replicaPath);
    for (const { branch, latest } of writers)
      assert.equal(references.get(branch) ?? '', latest, `${branch} on ${node.storage}`);
    await runGit([
      '-C',
      join(node.directory, 'default', replicaPath),
      'fsck',
      '--no-dangling',
      '--no-progress',
    ]);
  }
}

/** Returns the branches on a node, which need not run. */
async function referencesOn(node: FaultNode, replicaPath: string): Promise<ReadonlyMap<string, string>> {
  const path = join(node.directory, 'default', replicaPath);
  const format = '--format=%(refname:short) %(objectname)';
  const listed = await runGit(['-C', path, 'for-each-ref', format, 'refs/heads/']);
  return new Map(listed.split('\n').map((line) => line.split(' ', 2) as [string, string]));
}
