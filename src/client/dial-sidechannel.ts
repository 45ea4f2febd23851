import type { Duplex } from 'node:stream';
import { readMagic, SIDECHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { YAMUX_SIDECHANNEL_CLIENT } from '#rpc/common/yamux/settings';
import type { Connection } from './connection.ts';
import { dialWith } from './dial.ts';
import type { DialOptions } from './dial-options.ts';
import type { SidechannelRegistry } from './sidechannel-registry.ts';

export interface SidechannelDialOptions extends DialOptions {
  /** Unread bytes of one sidechannel that the server may have under way, ≥ 256 KiB. Default 256 KiB, as Gitaly's clients. */
  readonly maxStreamWindowBytes?: number;
  /** Takes streams of the server that are no sidechannels: gRPC towards this client. Without it they are refused. */
  readonly onBackchannel?: (stream: Duplex) => void;
}

/**
 * As `dial`, for servers that open sidechannels: one multiplexed connection carries the calls and the byte streams beside them.
 * The registry says which stream belongs to which call.
 */
export function dialSidechannel(
  address: string,
  registry: SidechannelRegistry,
  options: SidechannelDialOptions = {},
): Promise<Connection> {
  const { maxStreamWindowBytes, onBackchannel, ...dialOptions } = options;
  return dialWith(address, dialOptions, {
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
