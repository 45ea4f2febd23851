import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { until } from '#testkit/until';
import { checkLoss, checkRecovery, RECOVERY_MS } from './checks.ts';
import { choicesOf } from './choices.ts';
import { FaultCluster } from './fault-cluster.ts';
import { type Choices, FAULTS, type Fault, fullDisk } from './fault-kinds.ts';
import { canMount } from './small-storage.ts';
import { startPushers } from './start-pushers.ts';

const SECONDS = repetitions('CLUSTER_FAULTS_SECONDS', { short: 5, long: 240 });
const SEED = testSeed('CLUSTER_FAULTS_SEED');
const REPOSITORIES = 2;
const BRANCHES = 2;
/** Longest fault: long enough for the election of another primary. */
const MAX_FAULT_MS = 12_000;
const MAX_PAUSE_MS = 1500;

test('no acknowledged push is lost by faults in random order', {
  skip: withoutOwnPostgres,
}, async (context) => {
  context.diagnostic(`CLUSTER_FAULTS_SEED=${SEED}`);
  const choices = choicesOf(SEED);
  const hasSmallDisks = canMount();
  const faults = Object.entries({
    ...FAULTS,
    ...(hasSmallDisks && { 'the disk of a node is full': fullDisk }),
  });
  await using cluster = await FaultCluster.start({ hasSmallDisks });
  const { pushers, paths } = await startPushers(cluster, { repositories: REPOSITORIES, branches: BRANCHES });
  const stop = new AbortController();
  const pushing = Promise.all(pushers.map((pusher) => pusher.pushOn(stop.signal)));
  try {
    await disturb(cluster, { choices, faults, note: (text) => context.diagnostic(text) }, async () => {
      for (const praefect of cluster.praefects) await checkLoss(cluster, praefect, pushers, paths);
    });
    // One fault may last the whole time: each push counts, not how many a machine has time for.
    await until(
      () => pushers.every(({ successes }) => successes > 1),
      () => `all push again: ${pushers.map(({ successes, lastError }) => `${successes} ${lastError}`)}`,
      RECOVERY_MS,
    );
  } finally {
    stop.abort();
    await pushing;
  }
  const pushes = pushers.map(({ successes }) => successes);
  context.diagnostic(`acknowledged pushes: ${pushes.join(', ')}`);
  await checkRecovery(cluster, pushers, paths);
});

/** Makes one fault after the other, until the time is over. */
async function disturb(
  cluster: FaultCluster,
  parts: {
    readonly choices: Choices;
    readonly faults: readonly (readonly [name: string, fault: Fault])[];
    readonly note: (text: string) => void;
  },
  check: () => Promise<void>,
): Promise<void> {
  const { choices, faults, note } = parts;
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) {
    const [name, fault] = choices.of(faults);
    const begun = performance.now();
    const heal = await fault(cluster, choices);
    await delay(Math.min(choices.below(MAX_FAULT_MS), Math.max(0, end - performance.now())));
    try {
      await check();
    } finally {
      await heal();
    }
    note(`${name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    await delay(choices.below(MAX_PAUSE_MS));
    await check();
  }
}
