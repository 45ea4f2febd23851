import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type Peer, serve } from '#rpc/server/handler';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { CommitService } from '#wire/gen/commit_pb';
import { type Connection, dial } from './index.ts';

const MAX_CHANNELS = 3;
/** Number of calls that are started at once while the next connection is awaited. */
const CALLS_PER_LOOK = 4;
/** Number of calls that gives every connection many. */
const CALLS_TO_SPREAD = 60;
/** Twice the time after which a busy client opens another connection. */
const BUSY_MS = 400;
/** Time in which the client learns that a connection drains. */
const ANNOUNCED_MS = 100;
/** Time after which a connection that is not needed is closed. */
const IDLE_MS = 30_000;
const RETRY_OFF = { retry: false, maxChannels: MAX_CHANNELS } as const;

/** Starts a server. While `isHolding`, its calls wait until they are released. */
async function startServer() {
  const directory = makeScratchDirectory('channels');
  const state = { isHolding: false, peers: [] as Peer[], sockets: [] as Socket[] };
  let gate = Promise.withResolvers<void>();
  const rpc = new GrpcServer({
    services: [
      serve(CommitService, {
        findCommit: async (_, { peer }) => {
          state.peers.push(peer);
          if (state.isHolding) await gate.promise;
          return {};
        },
      }),
    ],
  });
  const listener = createServer((socket) => {
    state.sockets.push(socket);
    rpc.serveConnection(socket, { transport: 'unix', address: '', backchannelId: undefined });
  }).listen(join(directory, 's'));
  await once(listener, 'listening');
  return {
    address: `unix:${join(directory, 's')}`,
    rpc,
    state,
    release() {
      state.isHolding = false;
      gate.resolve();
      gate = Promise.withResolvers();
    },
    async [Symbol.asyncDispose]() {
      this.release();
      await rpc.shutdown({ graceMs: 0 });
      listener.close();
      rmSync(directory, { recursive: true });
    },
  };
}

type Server = Awaited<ReturnType<typeof startServer>>;

/**
 * Starts calls until the client has this many connections with many calls each. Returns the results
 * of the calls.
 */
async function keepBusy(server: Server, connection: Connection, connections: number) {
  server.state.isHolding = true;
  const calls: Promise<PromiseSettledResult<unknown>>[] = [];
  await until(() => {
    for (let call = 0; call < CALLS_PER_LOOK; call++) calls.push(resultOf(connection.commit.findCommit({})));
    return server.rpc.connections === connections;
  }, 'the client opens connections');
  for (let call = 0; call < CALLS_TO_SPREAD; call++) calls.push(resultOf(connection.commit.findCommit({})));
  await until(() => server.state.peers.length >= calls.length);
  return calls;
}

async function resultOf(call: Promise<unknown>): Promise<PromiseSettledResult<unknown>> {
  const [result] = await Promise.allSettled([call]);
  return result;
}

function failures(results: readonly PromiseSettledResult<unknown>[]): readonly string[] {
  return results.flatMap((each) => (each.status === 'rejected' ? [String(each.reason.code)] : []));
}

test('many running calls use several connections, within the limit; a few use one', async () => {
  await using server = await startServer();
  await using connection = await dial(server.address, RETRY_OFF);
  const { peers } = server.state;
  for (let call = 0; call < 50; call++) await connection.commit.findCommit({});
  assert.equal(server.rpc.connections, 1);

  const calls = await keepBusy(server, connection, MAX_CHANNELS);
  await delay(BUSY_MS); // enough for another connection if there were no limit
  calls.push(resultOf(connection.commit.findCommit({})));
  await until(() => peers.length === 50 + calls.length);

  const running = peers.slice(50);
  const counts = [...new Set(running)].map((peer) => running.filter((each) => each === peer).length);
  assert.equal(server.rpc.connections, MAX_CHANNELS);
  assert.equal(counts.length, MAX_CHANNELS);
  assert.ok(Math.min(...counts) > 16, `each has many calls: ${counts}`);
  server.release();
  assert.deepEqual(failures(await Promise.all(calls)), []);
});

test('without the option there is one connection', async () => {
  await using server = await startServer();
  await using connection = await dial(server.address, { retry: false });
  server.state.isHolding = true;
  const calls = Array.from({ length: 40 }, () => connection.commit.findCommit({}));
  await delay(BUSY_MS);

  calls.push(connection.commit.findCommit({}));
  await until(() => server.state.peers.length === calls.length);

  assert.equal(server.rpc.connections, 1);
  server.release();
  await Promise.all(calls);
});

test('connections that are no longer needed are closed one by one', async (context) => {
  context.mock.timers.enable({ apis: ['setInterval'] });
  await using server = await startServer();
  await using connection = await dial(server.address, { ...RETRY_OFF, keepalive: false });
  const calls = await keepBusy(server, connection, MAX_CHANNELS);
  server.release();
  await Promise.all(calls);

  context.mock.timers.tick(IDLE_MS); // the connections were needed during this time
  await connection.commit.findCommit({});
  assert.equal(server.rpc.connections, MAX_CHANNELS);
  for (let left = MAX_CHANNELS - 1; left >= 1; left--) {
    context.mock.timers.tick(IDLE_MS);
    await until(() => server.rpc.connections === left);
  }
  context.mock.timers.tick(IDLE_MS);
  await connection.commit.findCommit({});

  assert.equal(server.rpc.connections, 1);
});

test('connections that the server drains get no new calls, and finish those that run', async () => {
  await using server = await startServer();
  await using connection = await dial(server.address, RETRY_OFF);
  const calls = await keepBusy(server, connection, MAX_CHANNELS);
  const { peers } = server.state;

  assert.ok(server.rpc.moveConnection('of several'));
  await delay(ANNOUNCED_MS);
  const before = peers.length;
  for (let call = 0; call < CALLS_TO_SPREAD; call++) calls.push(resultOf(connection.commit.findCommit({})));
  await until(() => peers.length === calls.length);

  assert.equal(connection.state, 'ready');
  assert.ok(new Set(peers.slice(before)).size >= MAX_CHANNELS - 1);
  server.release();
  assert.deepEqual(failures(await Promise.all(calls)), []);
  await until(() => server.rpc.connections <= MAX_CHANNELS);
});

test('the loss of one connection fails its calls only, and another one takes its place', async () => {
  await using server = await startServer();
  await using connection = await dial(server.address, RETRY_OFF);
  const calls = await keepBusy(server, connection, 2);
  const { peers, sockets } = server.state;
  const [first] = peers;
  const ofFirst = peers.filter((peer) => peer === first).length;

  sockets[0]?.destroy();
  await until(() => server.rpc.connections === 1);
  assert.equal(connection.state, 'ready');
  server.release();
  await connection.commit.findCommit({});

  assert.deepEqual(
    failures(await Promise.all(calls)),
    Array.from({ length: ofFirst }, () => 'UNAVAILABLE'),
  );
});

test('the loss of all connections fails all calls, and the next one connects again', async () => {
  await using server = await startServer();
  await using connection = await dial(server.address, RETRY_OFF);
  const calls = await keepBusy(server, connection, 2);

  for (const socket of server.state.sockets) socket.destroy();
  const results = await Promise.all(calls);
  server.release();
  await connection.commit.findCommit({});

  assert.equal(failures(results).length, calls.length);
  assert.equal(server.rpc.connections, 1);
});

test('closing ends all connections', async () => {
  await using server = await startServer();
  const connection = await dial(server.address, RETRY_OFF);
  const calls = await keepBusy(server, connection, MAX_CHANNELS);

  await connection.close();

  assert.equal(failures(await Promise.all(calls)).length, calls.length);
  await until(() => server.rpc.connections === 0);
});
