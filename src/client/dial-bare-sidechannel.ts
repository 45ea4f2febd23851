import type { Duplex } from 'node:stream';
import { readMagic, SIDECHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { YAMUX_SIDECHANNEL_CLIENT, type YamuxOptions } from '#rpc/common/yamux/settings';
import type { BareConnection } from './bare-connection.ts';
import { dialBare } from './dial-bare.ts';
import type { DialOptions } from './dial-options.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

export interface SidechannelDialOptions extends DialOptions {
  /**
   * Limit of the unread bytes of one sidechannel, ≥ 256 KiB. Default 256 KiB, as in Gitaly's
   * clients.
   */
  readonly maxStreamWindowBytes?: number;
  /** Limit of streams that the server has opened and that wait to be accepted. Default 256. */
  readonly acceptBacklog?: number;
  /** Notified of the bytes of each read and write on the connection, for metrics. */
  readonly onTransfer?: YamuxOptions['onTransfer'];
  /**
   * Handles server streams that are not sidechannels: gRPC to this client. Without it they are
   * refused.
   */
  readonly onBackchannel?: (stream: Duplex) => void;
  /** Notified when an open connection ends, for any reason. */
  readonly onDisconnect?: () => void;
  /**
   * Opens a connection to a server in this process, instead of a socket to the address:
   * `GitalyServer.connect`.
   */
  readonly connect?: () => Duplex;
}

/** Dials like `dialSidechannel`, without the services' functions. */
export function dialBareSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<BareConnection> {
  const {
    acceptBacklog,
    connect,
    maxStreamWindowBytes,
    onBackchannel,
    onDisconnect,
    onTransfer,
    ...dialOptions
  } = options;
  return dialBare(
    address,
    { ...dialOptions, connect },
    {
      isSidechannelUnused: (id) => registry.isUnused(id),
      onClosed: onDisconnect,
      onStream: (stream) => void acceptStream(stream, registry, onBackchannel),
      settings: {
        ...YAMUX_SIDECHANNEL_CLIENT,
        ...(maxStreamWindowBytes === undefined ? {} : { maxStreamWindowBytes }),
        ...(acceptBacklog === undefined ? {} : { acceptBacklog }),
        onTransfer,
      },
    },
  );
}

/**
 * Handles a new stream. If it fails, its callback receives the error; without a callback the error
 * is ignored.
 */
async function acceptStream(
  stream: Duplex,
  registry: SidechannelRegistry,
  onBackchannel: ((stream: Duplex) => void) | undefined,
): Promise<void> {
  try {
    const magic = await readMagic(stream, [SIDECHANNEL_MAGIC]);
    if (magic !== undefined) await registry.accept(stream);
    else if (onBackchannel === undefined) stream.destroy();
    else onBackchannel(stream);
  } catch {
    stream.destroy(); // the server reports the end of the stream in the call
  }
}
