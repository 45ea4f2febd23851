import type { Duplex } from 'node:stream';
import { readMagic, SIDECHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { YAMUX_SIDECHANNEL_CLIENT } from '#rpc/common/yamux/settings';
import type { BareConnection } from './bare-connection.ts';
import { dialBare } from './dial-bare.ts';
import type { DialOptions } from './dial-options.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

export interface SidechannelDialOptions extends DialOptions {
  /** Unread bytes of one sidechannel that the server may have under way, ≥ 256 KiB. Default 256 KiB, as Gitaly's clients. */
  readonly maxStreamWindowBytes?: number;
  /** Takes streams of the server that are no sidechannels: gRPC towards this client. Without it they are refused. */
  readonly onBackchannel?: (stream: Duplex) => void;
}

/** As `dialSidechannel`, without the services' functions. */
export function dialBareSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<BareConnection> {
  const { maxStreamWindowBytes, onBackchannel, ...dialOptions } = options;
  return dialBare(address, dialOptions, {
    onStream: (stream) => void acceptStream(stream, registry, onBackchannel),
    settings: { ...YAMUX_SIDECHANNEL_CLIENT, ...(maxStreamWindowBytes === undefined ? {} : { maxStreamWindowBytes }) },
  });
}

/** A stream that fails says so to its callback, or there is nobody who waits for it; either way nothing is left to do here. */
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
    stream.destroy(); // the server sees the end of the stream and reports it in the call
  }
}
