import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runGit } from '#testkit/repositories/run-git';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { extent, repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { FaultCluster, type FaultPraefect, NODES, type Strategy } from './fault-cluster.ts';
import type { Pusher } from './pusher.ts';
import { startPushers } from './start-pushers.ts';
import { VOTE_POINTS } from './vote-points.ts';

/** Kills of each strategy. */
const KILLS = repetitions('CLUSTER_KILLS', { short: 1, long: 12 });
/** Also chooses the first strategy. */
const SEED = testSeed('CLUSTER_KILLS_SEED');
const ALL: readonly Strategy[] = ['per_repository', 'sql', 'local'];
const STRATEGIES = Array.from(
  { length: extent('CLUSTER_KILLS_STRATEGIES', { short: 1, long: ALL.length }) },
  (_, number) => ALL[(SEED + number) % ALL.length] ?? 'per_repository',
);
/**
 * Time from a kill to the end of the first read and the first write that succeed, on a machine on
 * which these take no time: on a slow one they have that of some pushes more.
 */
const AVAILABLE_MS = extent('CLUSTER_AVAILABLE_MS', { short: 15_000, long: 5000 });
/** A push that fails, one that waits for another primary, and one that succeeds. */
const PUSHES = 3;
const RECOVERY_MS = 150_000;
const PAUSE_MS = 100;

type Point = keyof typeof VOTE_POINTS;
type Victim = 'the primary' | 'a secondary' | 'a Praefect';
const POINTS = Object.keys(VOTE_POINTS) as Point[]; // the keys of the constant
const VICTIMS: readonly Victim[] = ['the primary', 'a secondary', 'a Praefect'];
const KINDS = POINTS.flatMap((point) => VICTIMS.map((victim) => ({ point, victim })));

interface Setting {
  readonly cluster: FaultCluster;
  readonly praefect: FaultPraefect;
  /** Of the write that is disturbed, and of one that follows. */
  readonly pushers: readonly [Pusher, Pusher];
  readonly replicaPath: string;
}

for (const [number, strategy] of STRATEGIES.entries()) {
  test(`kills at points of a vote, ${strategy}`, { skip: withoutOwnPostgres }, async (context) => {
    context.diagnostic(`CLUSTER_KILLS_SEED=${SEED}`);
    await using cluster = await FaultCluster.start({ strategy });
    const { pushers, paths } = await startPushers(cluster, { repositories: 1, branches: 2 });
    const [praefect] = cluster.praefects;
    const [first, second] = pushers;
    const [replicaPath] = paths.values();
    assert.ok(praefect && first && second && replicaPath);
    const setting = { cluster, praefect, pushers: [first, second], replicaPath } as const;
    for (let count = 0; count < KILLS; count++) {
      // Each strategy begins elsewhere, so that the short form tries all kinds by and by.
      const kind = KINDS[(SEED + number * 5 + count * 7) % KINDS.length];
      assert.ok(kind);
      await context.test(`${kind.victim} is killed ${kind.point}`, async (each) => {
        each.diagnostic(await killAt(setting, kind));
      });
    }
  });
}

/** Kills a process at a point of a write, and checks what follows. Returns a line of figures. */
async function killAt(
  setting: Setting,
  { point, victim }: { readonly point: Point; readonly victim: Victim },
): Promise<string> {
  const { cluster, praefect, pushers, replicaPath } = setting;
  const [disturbed, next] = pushers;
  const { primary, pushMs } = await primaryOfWhole(setting);
  const limitMs = AVAILABLE_MS + PUSHES * pushMs;
  const node = cluster.nodes.find(({ storage }) => (storage === primary) === (victim === 'the primary'));
  const victimProcess = victim === 'a Praefect' ? praefect.process : node?.process;
  let killedAt: number | undefined;
  const endWatch = VOTE_POINTS[point]({ cluster, praefect, replicaPath }, () => {
    killedAt ??= performance.now();
    victimProcess?.kill('SIGKILL');
  });
  const isAcknowledged = await disturbed.push(0);
  // The log may be read later than the client gets the response.
  await until(() => killedAt !== undefined, 'the point is reached').finally(endWatch);
  assert.ok(killedAt !== undefined);
  if (victim === 'a Praefect') await until(() => !praefect.process.isRunning, 'it has ended');

  const going = cluster.praefects.findIndex(({ process }) => process.isRunning);
  if (going < 0) await praefect.process.start(); // there is only one
  const from = going < 0 ? performance.now() : killedAt;
  const number = Math.max(going, 0);
  let times: readonly number[];
  try {
    times = await Promise.all([
      firstSuccess(from, { what: 'a read', limitMs }, () => reads(setting, number)),
      firstSuccess(from, { what: 'a write', limitMs }, () => next.push(number)),
    ]);
  } finally {
    if (victim !== 'a Praefect') await node?.restart();
    else if (!praefect.process.isRunning) await praefect.process.start();
  }
  // After the kill of a Praefect the nodes may differ until the next write to the branch.
  if (victim === 'a Praefect')
    await until(
      () => disturbed.push(0),
      () => `a push: ${disturbed.lastError}`,
      RECOVERY_MS,
    );
  await checkEqual(setting);
  return `acknowledged: ${isAcknowledged}; read and write after ${times.join(' and ')} ms`;
}

/** Writes until all nodes take part. Returns the primary, and how long the last push took. */
async function primaryOfWhole({
  praefect,
  pushers,
}: Setting): Promise<{ readonly primary: string; readonly pushMs: number }> {
  let primary: unknown;
  let pushMs = 0;
  praefect.process.onLine = (line) => {
    const updated = line['replication.updated'];
    if (Array.isArray(updated) && updated.length === NODES - 1) primary = line['replication.primary'];
  };
  await until(
    async () => {
      const begun = performance.now();
      await pushers[1].push(0);
      pushMs = performance.now() - begun;
      if (primary === undefined) await delay(PAUSE_MS);
      return primary !== undefined;
    },
    () => `all nodes take part: ${pushers[1].lastError}`,
    RECOVERY_MS,
  );
  praefect.process.onLine = () => {};
  return { primary: String(primary), pushMs };
}

/** Returns the time from a moment to the end of the first attempt that succeeds. */
async function firstSuccess(
  from: number,
  { what, limitMs }: { readonly what: string; readonly limitMs: number },
  attempt: () => Promise<boolean>,
): Promise<number> {
  for (;;) {
    const hasSucceeded = await attempt();
    const passed = performance.now() - from;
    if (hasSucceeded) {
      const figures = `${passed.toFixed()} ms after the kill, of ${limitMs.toFixed()} ms`;
      assert.ok(passed < limitMs, `${what} succeeds ${figures}`);
      return Math.round(passed);
    }
    assert.ok(passed < RECOVERY_MS, `${what} succeeds again`);
    await delay(PAUSE_MS);
  }
}

async function reads({ cluster, pushers }: Setting, praefect: number): Promise<boolean> {
  const repository = { storageName: 'default', relativePath: pushers[1].relativePath };
  const revision = Buffer.from(`refs/heads/${pushers[1].branch}`);
  const { acknowledged } = pushers[1]; // before the read
  const response = await cluster.praefects[praefect]?.connection.commit
    .findCommit({ repository, revision }, { timeoutMs: 1000 })
    .catch(() => undefined);
  return pushers[1].placeOf(response?.commit?.id ?? '') >= acknowledged;
}

/** Checks that all nodes get the same references, with all that was acknowledged. */
async function checkEqual({ cluster, pushers, replicaPath }: Setting): Promise<void> {
  let all: readonly string[] = [];
  await until(
    async () => {
      all = await Promise.all(
        cluster.nodes.map(({ directory }) =>
          runGit([
            ...['-C', join(directory, 'default', replicaPath)],
            ...['for-each-ref', '--format=%(refname) %(objectname)'],
          ]).catch(() => ''),
        ),
      );
      return new Set(all).size === 1;
    },
    () => `the nodes are equal: ${all.join('\n--\n')}`,
    RECOVERY_MS,
  );
  const tips = new Map((all[0] ?? '').split('\n').map((line) => line.split(' ') as [string, string]));
  for (const pusher of pushers) {
    const place = pusher.placeOf(tips.get(`refs/heads/${pusher.branch}`) ?? '');
    assert.ok(place >= pusher.acknowledged, `${pusher.branch} is at ${place} of ${pusher.acknowledged}`);
  }
}
