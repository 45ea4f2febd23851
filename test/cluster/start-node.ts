import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { Listener } from '#rpc/server/connection/listener';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type ServiceImplementation, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster, type TestCluster } from '#testkit/start-cluster';
import { CommitService } from '#wire/gen/commit_pb';

/**
 * Starts a cluster whose only node is without git and has these handlers. The client repeats no
 * call.
 */
export async function startClusterOf(
  handlers: ServiceImplementation<typeof CommitService>,
): Promise<TestCluster> {
  await using building = new AsyncDisposableStack();
  const directory = makeScratchDirectory('node');
  building.defer(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'node.socket');
  const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
  const node = new GrpcServer({ services: [healthService(), serve(CommitService, handlers)] });
  const listener = await Listener.listen(
    { transport: 'unix', path },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onGrpc: (duplex, from) => node.serveConnection(duplex, from),
        }),
    },
  );
  building.defer(() => listener.destroy());
  building.defer(() => node.shutdown({ graceMs: 0 }));
  const cluster = building.use(
    await startCluster({
      nodes: 0,
      dial: { retry: false },
      config: {
        virtual_storage: [{ name: 'default', node: [{ storage: 'gitaly-1', address: `unix:${path}` }] }],
      },
    }),
  );
  const resources = building.move();
  return { ...cluster, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
