import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ServerStatus } from '#calls/top/status';
import { CallError, type Connection } from '#client/index';
import { sql } from '#praefect/database/database';
import { deriveReplicaPath } from '#praefect/routing/replica-path';
import { gitOutput } from '#testkit/repositories/init-repository';
import { withoutPostgres } from '#testkit/servers/start-postgres';
import { extent } from '#testkit/soak';
import { until } from '#testkit/until';
import { commit, repository } from '../cluster/cluster-repository.ts';
import { repository as heldRepository, isRunning, sumOf } from './family.ts';
import { HELD_RPC, hold } from './held-calls.ts';
import { PraefectFamily } from './praefect-family.ts';

const skip = withoutPostgres;
const CLIENTS = 15;
/** Calls that take at least this long are slow. */
const SLOW_MS = 500;
/** Between the reads of a client during a restart. */
const READ_EVERY_MS = 20;
const ROUNDS = extent('PRAEFECT_ROUNDS', { short: 2, long: 4 });
const REPLICA_PATH = deriveReplicaPath(1, repository.relativePath);
const ZERO_ID = Buffer.from('0'.repeat(40));

let family: PraefectFamily;
/** One to each process, in the order of their numbers. */
let connections: readonly Connection[] = [];

before(async () => {
  if (skip !== false) return;
  // Connections stay where they are.
  family = await PraefectFamily.start({
    config: '[console]\nlisten_addr = "127.0.0.1:0"\n',
    settings: { choice: 'random', tickMs: 600_000, backOffMs: 50 },
  });
  connections = await family.connectAll();
  await connectionTo(0).repository.createRepository({ repository });
  await commit({ connection: connectionTo(0) }, 'first');
});

after(async () => {
  await Promise.all(connections.map((connection) => connection.close()));
  await family?.[Symbol.asyncDispose]();
});

/** Returns the connection to a process. */
function connectionTo(index: number): Connection {
  const connection = connections[index % connections.length];
  assert.ok(connection);
  return connection;
}

const headBy = async ({ commit: calls }: Connection): Promise<string | undefined> =>
  (await calls.findCommit({ repository, revision: Buffer.from('main') })).commit?.id;

const pathOn = (node: number): string => family.nodes[node - 1]?.pathOf(REPLICA_PATH) ?? '';

const headOn = (node: number): string => gitOutput(pathOn(node), ['rev-parse', 'refs/heads/main']);

/** Waits until all nodes have the head that clients see. */
async function nodesAreEqual(): Promise<void> {
  const head = await headBy(connectionTo(0));
  await until(
    () => [1, 2, 3].every((node) => headOn(node) === head),
    () => `${head}: ${[1, 2, 3].map(headOn)}`,
  );
}

test('a write by one process is read by all others at once', { skip }, async () => {
  for (let round = 0; round < connections.length; round++) {
    const id = await commit({ connection: connectionTo(round) }, `round-${round}`);
    const heads = await Promise.all(connections.map(headBy));
    assert.deepEqual(
      heads,
      connections.map(() => id),
    );
  }
});

test('no process reads from a replica that another process left behind', { skip }, async () => {
  const [record] = await family.postgres.database.rows(sql<{ primary: string }>`
    SELECT "primary" FROM repositories`);
  const lock = join(pathOn(record?.primary === 'gitaly-3' ? 2 : 3), 'refs/heads/main.lock');
  for (let round = 0; round < connections.length; round++) {
    await nodesAreEqual();
    // Each process knows that all replicas are up to date.
    for (let read = 0; read < 2; read++) await Promise.all(connections.map(headBy));
    writeFileSync(lock, '');
    try {
      const id = await commit({ connection: connectionTo(round) }, `behind-${round}`);
      const reads = Array.from({ length: 5 * connections.length }, (_, index) => headBy(connectionTo(index)));
      assert.deepEqual(new Set(await Promise.all(reads)), new Set([id]));
    } finally {
      rmSync(lock);
    }
  }
});

// Each node would lock packed-refs for another deletion, wait a second for it, and refuse all.
test('writes and deletions by different processes do not refuse each other', { skip }, async () => {
  const revision = Buffer.from((await headBy(connectionTo(0))) ?? '');
  const client = async (_: unknown, index: number): Promise<void> => {
    const { ref: refs, repository: calls } = connectionTo(index);
    const ref = Buffer.from(`refs/heads/b${index}`);
    for (let round = 0; round < ROUNDS; round++) {
      await calls.writeRef({ repository, ref, revision });
      await calls.writeRef({ repository, ref: Buffer.from('refs/heads/shared'), revision });
      await refs.deleteRefs({ repository, refs: [ref] });
      await calls.writeRef({ repository, ref, revision, oldRevision: ZERO_ID });
    }
  };

  await Promise.all(Array.from({ length: CLIENTS }, client));

  const expected = [1, 2, 3].map(() => gitOutput(pathOn(1), ['for-each-ref']));
  assert.deepEqual(
    [1, 2, 3].map((node) => gitOutput(pathOn(node), ['for-each-ref'])),
    expected,
  );
});

test('the metrics of all processes are one', { skip }, async () => {
  const before = sumOf(await family.metrics(), 'grpc_server_handled_total', 'grpc_method="RefExists"');

  for (const { ref } of connections) await ref.refExists({ repository, ref: Buffer.from('refs/heads/main') });

  const text = await family.metrics();
  assert.equal(
    sumOf(text, 'grpc_server_handled_total', 'grpc_method="RefExists"') - before,
    connections.length,
  );
  assert.equal(sumOf(text, 'gitaly_ts_workers'), 3);
  assert.equal(text.match(/^process_resident_memory_bytes\{worker="\d"\} /gm)?.length, 3);
});

test('the console shows and ends the calls of all processes', { skip }, async () => {
  const line = family.lines.find(({ msg }) => msg === 'listening for the console');
  const page = String(line?.address);
  const read = async <T>(name: string): Promise<T> =>
    (await (await fetch(`${page}/${name}?format=json`)).json()) as T; // the page's own data
  await connectionTo(0).repository.createRepository({ repository: heldRepository });
  const held = connections.map(hold);
  const calls = async () =>
    (await read<ServerStatus>('running')).calls.filter(({ method }) => method === HELD_RPC);
  await until(async () => (await calls()).length === 3, 'the calls of all processes are shown');
  assert.deepEqual((await calls()).map(({ worker }) => worker).sort(), [0, 1, 2]);
  await delay(SLOW_MS);
  const text = await (await fetch(`${page}/running`)).text();

  for (const [, action = ''] of text.matchAll(/<form method="post" action="([^"]+)"/g))
    await fetch(new URL(action.replaceAll('&amp;', '&'), page), { method: 'POST', redirect: 'manual' });

  assert.deepEqual(await Promise.all(held.map(({ outcome }) => outcome)), Array(3).fill('CANCELLED'));
  assert.ok((await read<{ calls: unknown[] }>('slow')).calls.length >= 3);
});

test('a killed worker loses its own calls only, and nothing that it held', { skip }, async () => {
  const [first, second] = connections;
  assert.ok(first && second);
  const victim = family.pidOf(1);

  // Stopped while it holds the order of writes, or waits for it.
  const writes = Array.from({ length: 8 }, (_, index) => commit({ connection: second }, `lost-${index}`));
  const settled = Promise.allSettled(writes);
  await until(() =>
    family.lines.some(({ msg, worker }) => worker === 1 && String(msg).includes('VoteTransaction')),
  );
  process.kill(victim, 'SIGSTOP');
  const waiting = headBy(second).then(
    () => 'OK',
    (error: unknown) => (error instanceof CallError ? error.code : String(error)),
  );
  process.kill(victim, 'SIGKILL');

  const id = await commit({ connection: first }, 'after-the-kill');
  assert.equal(await headBy(first), id);
  assert.equal(await waiting, 'UNAVAILABLE');
  for (const result of await settled)
    if (result.status === 'rejected') assert.equal(result.reason.code, 'UNAVAILABLE');
  await family.ready(3);
  assert.notEqual(family.pidOf(1), victim);
  await until(() =>
    commit({ connection: first }, 'again')
      .then(nodesAreEqual)
      .then(() => true),
  );
});

test('every process notices that a node has ended', { skip }, async () => {
  const opened = await family.connectAll();
  await family.nodes[2]?.kill();

  for (const connection of opened) {
    const id = await commit({ connection }, `without-${opened.indexOf(connection)}`);
    for (const reader of opened) assert.equal(await headBy(reader), id);
  }
  await Promise.all(opened.map((connection) => connection.close()));
});

test('SIGHUP starts a new family without a failed call, SIGTERM ends it', { skip }, async () => {
  const workers = [family.pidOf(1), family.pidOf(2)];
  const stop = new AbortController();
  const load = (async () => {
    for (let calls = 0; ; calls++) {
      if (stop.signal.aborted) return calls;
      await headBy(connectionTo(0));
      await delay(READ_EVERY_MS);
    }
  })();

  await family.praefect.handOver();
  assert.deepEqual(workers.map(isRunning), [false, false]);
  stop.abort();
  assert.ok((await load) > 0);
  await family.ready(5);
  const [fourth = 0, fifth = 0] = family.readyWorkers.slice(-2);

  family.praefect.kill('SIGTERM');
  await until(() => !family.praefect.isRunning);

  assert.deepEqual([fourth, fifth].map(isRunning), [false, false]);
});
