import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import type { Metadata } from '#rpc/common/metadata';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { Listener } from '#rpc/server/connection/listener';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type HandlerContext, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster } from '#testkit/start-cluster';
import { CommitService } from '#wire/gen/commit_pb';
import { repository } from './cluster-repository.ts';

/** Starts a node without git, whose FindCommit is `handle`. */
async function startNode(path: string, handle: (context: HandlerContext) => void) {
  const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
  const server = new GrpcServer({
    services: [
      healthService(),
      serve(CommitService, {
        findCommit: async (_, context) => {
          handle(context);
          return {};
        },
      }),
    ],
  });
  const listener = await Listener.listen(
    { transport: 'unix', path },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onGrpc: (duplex, from) => server.serveConnection(duplex, from),
        }),
    },
  );
  return {
    async [Symbol.asyncDispose]() {
      await server.shutdown({ graceMs: 0 });
      await listener.destroy();
    },
  };
}

test('metadata passes in both directions, flags have their defaults, the log has the route', async () => {
  const directory = makeScratchDirectory('node');
  using _removing = { [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
  const path = join(directory, 'node.socket');
  const received: Metadata[] = [];
  await using _node = await startNode(path, ({ headers, responseHeaders, trailers }) => {
    received.push(headers);
    responseHeaders.append('x-node', 'first');
    responseHeaders.append('x-node', 'second');
    trailers.append('x-cost', '3');
  });
  await using cluster = await startCluster({
    nodes: 0,
    config: {
      virtual_storage: [{ name: 'default', node: [{ storage: 'gitaly-1', address: `unix:${path}` }] }],
    },
  });
  const seen: { headers?: Metadata; trailers?: Metadata } = {};

  await cluster.connection.commit.findCommit(
    { repository, revision: Buffer.from('main') },
    {
      metadata: { 'x-mine': 'kept' },
      featureFlags: { mailmap_options: false },
      correlationId: 'correlation',
      onHeaders: (headers) => {
        seen.headers = headers;
      },
      onTrailers: (trailers) => {
        seen.trailers = trailers;
      },
    },
  );

  const [headers] = received;
  assert.deepEqual(
    ['x-mine', 'virtual_storage', 'gitaly-feature-mailmap-options', 'gitaly-feature-ref-iterator'].map(
      (key) => headers?.get(key),
    ),
    ['kept', 'default', 'false', 'true'],
  );
  assert.deepEqual(seen.headers?.getAll('x-node'), ['first', 'second']);
  assert.equal(seen.trailers?.get('x-cost'), '3');
  const line = cluster.log.find(({ msg }) => msg === 'finished streaming call with code OK');
  assert.deepEqual(
    {
      component: line?.component,
      correlation_id: line?.correlation_id,
      method: line?.['grpc.method'],
      virtual_storage: line?.virtual_storage,
      relative_path: line?.relative_path,
      route: line?.route,
    },
    {
      component: 'praefect.StreamServerInterceptor',
      correlation_id: 'correlation',
      method: 'FindCommit',
      virtual_storage: 'default',
      relative_path: repository.relativePath,
      route: { replica_path: repository.relativePath, storage: 'gitaly-1' },
    },
  );

  await cluster.connection.server.serverInfo({});

  const intercepted = cluster.log.find(({ 'grpc.method': method }) => method === 'ServerInfo');
  assert.equal(intercepted?.component, 'praefect.UnaryServerInterceptor');
});
