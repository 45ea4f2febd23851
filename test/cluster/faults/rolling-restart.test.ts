import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { type Connection, commitFiles, dial } from '#client/index';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { extent } from '#testkit/soak';
import { until } from '#testkit/until';
import { USER } from '#testkit/user';
import { checkRecovery, reportedLoss } from './checks.ts';
import { FaultCluster, NODES } from './fault-cluster.ts';
import type { Pusher } from './pusher.ts';
import { startPushers } from './start-pushers.ts';

/** Restarts of nodes, one after the other; each is followed by that of a Praefect. */
const RESTARTS = extent('CLUSTER_RESTARTS', { short: 1, long: 12 });
const CALLS_PER_SECOND = 100;
/** Of this number of calls, one is a commit and another a write of a reference. */
const WRITES_EVERY = 20;
/** Branches, other references and reads that the load takes in turn. */
const TARGETS = 20;
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

/** A call of the load. No two calls of one target run at once. */
interface LoadCall {
  readonly name: string;
  readonly target: string;
  run(): Promise<unknown>;
}

/** Reads and writes of a repository of its own, at a steady rate if the machine can keep up with it. */
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

  /**
   * Starts a call every few milliseconds until the signal is aborted, and waits for all of them.
   * Leaves out calls of targets whose last call still runs: on a machine that is slower than the
   * load, calls would pile up, and writes of one branch would conflict.
   */
  async run(stop: AbortSignal): Promise<void> {
    const started = performance.now();
    const running = new Map<string, Promise<void>>();
    for (let number = 0; !stop.aborted; ) {
      const due = ((performance.now() - started) * CALLS_PER_SECOND) / 1000;
      for (; number < due; number++) {
        const call = this.#callOf(number);
        if (running.has(call.target)) continue;
        running.set(
          call.target,
          this.#run(call).finally(() => running.delete(call.target)),
        );
      }
      await delay(1000 / CALLS_PER_SECOND); // the rate of the load
    }
    await Promise.all(running.values());
  }

  async #run({ name, run }: LoadCall): Promise<void> {
    this.calls++;
    const begun = performance.now();
    await run().catch((error: unknown) => {
      this.failures.push(`${name} after ${Math.round(performance.now() - begun)} ms: ${messageOf(error)}`);
    });
  }

  #callOf(number: number): LoadCall {
    const connection = this.#connections[number % this.#connections.length];
    assert.ok(connection);
    const repository = this.#repository;
    const round = Math.floor(number / WRITES_EVERY) % TARGETS;
    if (number % WRITES_EVERY === 0) {
      const target = `b${round}`;
      return { name: 'UserCommitFiles', target, run: () => this.#commit(connection, target, number) };
    }
    if (number % WRITES_EVERY === 7) {
      const target = `refs/heads/w${round}`;
      const request = { repository, ref: Buffer.from(target), revision: Buffer.from(this.#tip) };
      return { name: 'WriteRef', target, run: () => connection.repository.writeRef(request) };
    }
    const revision = Buffer.from('main');
    return {
      name: 'FindCommit',
      target: `read ${number % TARGETS}`,
      run: () => connection.commit.findCommit({ repository, revision }),
    };
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
