import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { type Connection, commitFiles, dial } from '#client/index';
import { extent } from '#testkit/soak';
import { withoutOwnPostgres } from '#testkit/start-postgres';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { checkRecovery, reportedLoss } from './checks.ts';
import { FaultCluster, NODES } from './fault-cluster.ts';
import type { Pusher } from './pusher.ts';
import { startPushers } from './start-pushers.ts';

/** Restarts of nodes, one after the other; each is followed by that of a Praefect. */
const RESTARTS = extent('CLUSTER_RESTARTS', { short: 1, long: 12 });
const CALLS_PER_SECOND = 100;
const UP_TO_DATE_MS = 60_000;
const timestamp = { seconds: 1_700_000_000n };

test('a rolling restart fails no call and no push', { skip: withoutOwnPostgres }, async (context) => {
  await using cluster = await FaultCluster.start();
  const { pushers, paths } = await startPushers(cluster, { repositories: 2, branches: 2 });
  // Without retries of the client: each failure of the cluster is seen.
  const connections = await Promise.all(
    cluster.praefects.map(({ connection }) => dial(connection.address, { retry: false })),
  );
  const load = await Load.create(connections);
  const stop = new AbortController();
  const running = Promise.all([load.run(stop.signal), ...pushers.map((each) => pushOn(each, stop.signal))]);
  try {
    for (let number = 0; number < RESTARTS; number++) {
      if (number > 0)
        await until(() => areReplicasCurrent(cluster), 'all replicas are up to date', UP_TO_DATE_MS);
      const node = cluster.nodes[number % NODES];
      node?.process.kill('SIGTERM');
      await node?.restart();
      await cluster.praefects[number % cluster.praefects.length]?.process.handOver();
      const calls = load.calls;
      await until(() => load.calls > calls + CALLS_PER_SECOND, 'calls go on after the restart');
    }
  } finally {
    stop.abort();
    await running;
    for (const connection of connections) await connection.close();
  }
  const [, ...failures] = await running;
  context.diagnostic(`${load.calls} calls, ${pushers.map(({ successes }) => successes).join(', ')} pushes`);
  assert.deepEqual([...load.failures, ...failures.flat()], []);
  assert.ok(load.calls > RESTARTS * CALLS_PER_SECOND, `${load.calls} calls`);
  await checkRecovery(cluster, pushers, paths);
});

async function areReplicasCurrent({ praefects }: FaultCluster): Promise<boolean> {
  const losses = await Promise.all(praefects.map(reportedLoss));
  return losses.every(({ behind }) => behind.size === 0);
}

/** Returns the reasons of the pushes that failed. */
async function pushOn(pusher: Pusher, stop: AbortSignal): Promise<string[]> {
  const failures: string[] = [];
  while (!stop.aborted) if (!(await pusher.push())) failures.push(`push: ${pusher.lastError}`);
  return failures;
}

/** Reads and writes of a repository of its own, at a steady rate. */
class Load {
  readonly failures: string[] = [];
  calls = 0;
  readonly #connections: readonly Connection[];
  readonly #repository = { storageName: 'default', relativePath: 'load.git' };
  #tip = '';

  private constructor(connections: readonly Connection[]) {
    this.#connections = connections;
  }

  static async create(connections: readonly Connection[]): Promise<Load> {
    const load = new Load(connections);
    const [connection] = connections;
    assert.ok(connection);
    await connection.repository.createRepository({ repository: load.#repository });
    await load.#commit(connection, 'main', 0);
    const { commit } = await connection.commit.findCommit({
      repository: load.#repository,
      revision: Buffer.from('main'),
    });
    load.#tip = commit?.id ?? '';
    return load;
  }

  /** Starts a call every few milliseconds until the signal is aborted, and waits for all of them. */
  async run(stop: AbortSignal): Promise<void> {
    const started = performance.now();
    const running = new Set<Promise<void>>();
    while (!stop.aborted) {
      const due = ((performance.now() - started) * CALLS_PER_SECOND) / 1000;
      while (this.calls < due) {
        const call = this.#call(this.calls++);
        running.add(call);
        void call.then(() => running.delete(call));
      }
      await delay(1000 / CALLS_PER_SECOND); // the rate of the load
    }
    await Promise.all(running);
  }

  async #call(number: number): Promise<void> {
    const connection = this.#connections[number % this.#connections.length];
    assert.ok(connection);
    const repository = this.#repository;
    const begun = performance.now();
    const [name, call] = this.#kindOf(number, connection, repository);
    await call().catch((error: unknown) => {
      this.failures.push(`${name} after ${Math.round(performance.now() - begun)} ms: ${messageOf(error)}`);
    });
  }

  #kindOf(
    number: number,
    connection: Connection,
    repository: { storageName: string; relativePath: string },
  ): readonly [name: string, call: () => Promise<unknown>] {
    if (number % 20 === 0)
      return ['UserCommitFiles', () => this.#commit(connection, `b${(number / 20) % 40}`, number)];
    if (number % 20 === 7) {
      const ref = Buffer.from(`refs/heads/w${number % 7}`);
      const revision = Buffer.from(this.#tip);
      return ['WriteRef', () => connection.repository.writeRef({ repository, ref, revision })];
    }
    const revision = Buffer.from('main');
    return ['FindCommit', () => connection.commit.findCommit({ repository, revision })];
  }

  async #commit(connection: Connection, branch: string, number: number): Promise<void> {
    await commitFiles(
      connection,
      {
        repository: this.#repository,
        user: USER,
        branchName: Buffer.from(branch),
        commitMessage: Buffer.from('message'),
        timestamp,
      },
      [{ type: 'create', path: `${number}.txt`, content: `${number}` }],
    );
  }
}
