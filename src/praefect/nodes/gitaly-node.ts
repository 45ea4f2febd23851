import type { Duplex } from 'node:stream';
import type { CallOptions, ResponseStream } from '#client/call/call-types';
import {
  type Connection,
  dialSidechannel,
  type SidechannelDialOptions,
  SidechannelRegistry,
} from '#client/index';
import type { Requests } from '#rpc/common/grpc/channel-call';
import { HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import type { MethodInfo } from '#wire/method-info';

/** A node of a virtual storage, as configured. */
export interface NodeConfig {
  readonly virtualStorage: string;
  /** Name of the storage in Gitaly's own configuration. */
  readonly storage: string;
  readonly address: string;
  readonly token: string | undefined;
}

export type MultiplexerOptions = Pick<
  SidechannelDialOptions,
  'maxStreamWindowBytes' | 'acceptBacklog' | 'onTransfer'
>;

/**
 * The connection to one Gitaly. It is multiplexed: Gitaly casts its votes on the reverse channel,
 * and opens the sidechannels of proxied calls. It connects at the first call.
 */
export class GitalyNode implements AsyncDisposable {
  readonly config: NodeConfig;
  readonly connection: Connection;
  readonly sidechannels: SidechannelRegistry;

  private constructor(config: NodeConfig, connection: Connection, sidechannels: SidechannelRegistry) {
    this.config = config;
    this.connection = connection;
    this.sidechannels = sidechannels;
  }

  /**
   * @param onReverse receives the streams on which the node calls us.
   * @param multiplexer settings of the connection's streams.
   */
  static async dial(
    config: NodeConfig,
    onReverse: (stream: Duplex) => void,
    multiplexer: MultiplexerOptions = {},
  ): Promise<GitalyNode> {
    const sidechannels = new SidechannelRegistry();
    const connection = await dialSidechannel(config.address, sidechannels, {
      ...multiplexer,
      onBackchannel: onReverse,
      retry: false,
      traceContext: false,
      ...(config.token === undefined ? {} : { token: config.token }),
    });
    return new GitalyNode(config, connection, sidechannels);
  }

  get storage(): string {
    return this.config.storage;
  }

  /** Starts a call with encoded messages in both directions. */
  invokeRaw(method: MethodInfo, requests: Requests<Buffer>, options: CallOptions): ResponseStream<Buffer> {
    // Responses of a raw call are the received bytes.
    return this.connection.invoke({ method, requests, options, isRaw: true }) as ResponseStream<Buffer>;
  }

  /**
   * Asks the node whether it serves. Never rejects.
   *
   * @param onFailure receives the reason for a `false`.
   */
  async isServing(timeoutMs: number, onFailure: (error: unknown) => void): Promise<boolean> {
    try {
      const { status } = await this.connection.health.check({}, { timeoutMs });
      if (status === Status.SERVING) return true;
      onFailure(new Error(`node is ${Status[status]}`));
    } catch (error) {
      onFailure(error);
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}
