import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc-channel';
import { Backchannels } from '#rpc/server/backchannels';
import { demultiplex } from '#rpc/server/demultiplexer';
import { GrpcServer } from '#rpc/server/grpc-server';
import { type HandlerContext, serve } from '#rpc/server/handler';
import { Listener } from '#rpc/server/listener';
import { openCallSidechannel } from '#rpc/server/open-sidechannel';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { SSHService } from '#wire/gen/ssh_pb';

export interface SidechannelServer extends AsyncDisposable {
  /** `unix:<path>` */
  readonly address: string;
}

/**
 * The server's side of one call. What the client sends is read with `sidechannel.iterator({ destroyOnReturn: false })`, which ends at its
 * half close and leaves the other direction open; what is written is what the client sees.
 */
export type SidechannelHandler = (sidechannel: Duplex) => Promise<void>;

/**
 * A server without git, for tests of what a client does with its sidechannels: PostUploadPackWithSidechannel and
 * SSHUploadPackWithSidechannel open one and give it to `handle`. What that throws is the error of the call; the stream ends with it.
 */
export async function startSidechannelServer(handle: SidechannelHandler): Promise<SidechannelServer> {
  const directory = mkdtempSync(join(tmpdir(), 'sidechannel-server-'));
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
      openSidechannel: (headers, peer, signal) => openCallSidechannel(headers, peer, { sessions: backchannels, signal }),
    },
  });
  const listener = await Listener.listen(
    { transport: 'unix', path: join(directory, 's.sock') },
    {
      onConnection: (connection, peer) =>
        void demultiplex(connection, peer, { backchannels, onGrpc: (duplex, from) => server.serveConnection(duplex, from) }),
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
