import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { Backchannels } from '#rpc/server/connection/backchannels';
import { demultiplex } from '#rpc/server/connection/demultiplexer';
import { Listener } from '#rpc/server/connection/listener';
import { openCallSidechannel } from '#rpc/server/connection/open-sidechannel';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type HandlerContext, serve } from '#rpc/server/handler';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { makeScratchDirectory } from '../scratch-directory.ts';

export interface SidechannelServer extends AsyncDisposable {
  /** `unix:<path>` */
  readonly address: string;
}

/**
 * The server's side of one call. Read the client's data with `sidechannel.iterator({
 * destroyOnReturn: false })`, which ends at its half close and leaves the other direction open.
 * Written data reaches the client.
 */
export type SidechannelHandler = (sidechannel: Duplex) => Promise<void>;

/**
 * Starts a server without git, for tests of a client's sidechannels: PostUploadPackWithSidechannel
 * and SSHUploadPackWithSidechannel open one and pass it to `handle`. If `handle` throws, the stream
 * ends, and the call fails with the error.
 */
export async function startSidechannelServer(handle: SidechannelHandler): Promise<SidechannelServer> {
  const directory = makeScratchDirectory('sidechannel');
  const backchannels = new Backchannels<GrpcChannel>((stream) => connectGrpc(stream));
  const answer = async (_request: unknown, context: HandlerContext) => {
    const sidechannel = await context.openSidechannel();
    try {
      await handle(sidechannel);
      sidechannel.end();
      return {};
    } catch (error) {
      sidechannel.destroy();
      throw error;
    }
  };
  const server = new GrpcServer({
    services: [
      serve(SmartHTTPService, { postUploadPackWithSidechannel: answer }),
      serve(SSHService, { sSHUploadPackWithSidechannel: answer }),
    ],
    contextExtras: {
      openSidechannel: (headers, peer, signal) =>
        openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
    },
  });
  const listener = await Listener.listen(
    { transport: 'unix', path: join(directory, 's.sock') },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, {
          backchannels,
          onGrpc: (duplex, from) => server.serveConnection(duplex, from),
        }),
    },
  );
  return {
    address: `unix:${join(directory, 's.sock')}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown({ graceMs: 0 });
      await listener.destroy();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
