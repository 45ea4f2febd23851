import type { Duplex } from 'node:stream';
import { patientSignal } from '#base/async/patient-signal';
import { GitalyError } from '#base/gitaly-error';
import type { BareConnection } from '#client/bare-connection';
import type { CallOptions, ResponseStream } from '#client/call/call-types';
import { dialBare } from '#client/dial-bare';
import {
  type Connection,
  type DialOptions,
  dialSidechannel,
  type SidechannelDialOptions,
  SidechannelRegistry,
} from '#client/index';
import type { Requests } from '#rpc/common/grpc/channel-call';
import type { OpenSession } from '#rpc/common/grpc/grpc-channel';
import { NodeSession } from '#rpc/common/grpc/node-session';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import { ConnectionError } from '#rpc/common/http2/connection-error';
import { FrameSession } from '#rpc/common/http2/frame-session';
import type { Metadata } from '#rpc/common/metadata';
import { HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import type { MethodInfo } from '#wire/method-info';

/** Nodes by virtual storage, in the order of the configuration. */
export type NodesByStorage = ReadonlyMap<string, readonly GitalyNode[]>;

/** The nodes of a cluster, and which of them are healthy. */
export interface ObservedNodes {
  readonly nodes: NodesByStorage;
  readonly isHealthy: (node: GitalyNode) => boolean;
}

/** A node of a virtual storage, as configured. */
export interface NodeConfig {
  readonly virtualStorage: string;
  /** Name of the storage in Gitaly's own configuration. */
  readonly storage: string;
  readonly address: string;
  readonly token: string | undefined;
}

/** Settings of the connections. */
export type NodeDialOptions = Pick<
  SidechannelDialOptions,
  'maxStreamWindowBytes' | 'acceptBacklog' | 'onTransfer' | 'interceptors'
>;

/** A call that is passed on. Its metadata is complete. */
export interface RawCallOptions extends CallOptions {
  readonly metadata: Metadata;
}

/** A node that returns serves again after this time and one check, however long it was away. */
const MAX_CONNECT_BACKOFF_MS = 2000;
/** Limit of connections for reads to one node. Several are open while it is busy. */
const MAX_READ_CHANNELS = 4;
/** A check takes at most this many times its limit, however busy this process is. */
const MAX_PATIENCE = 10;
/** Limit of one attempt to open the connection for reads. */
const OPEN_LIMIT_MS = 10_000;

/**
 * The connections to one Gitaly. One is multiplexed: Gitaly casts its votes on the reverse channel,
 * and opens the sidechannels of proxied calls. Reads need neither. They use a second connection
 * while that is open, with an HTTP/2 client of our own ({@link readSessions}).
 * Each connects at the first call. Many reads at once use several connections.
 */
export class GitalyNode implements AsyncDisposable {
  readonly config: NodeConfig;
  readonly connection: Connection;
  readonly sidechannels: SidechannelRegistry;
  /** Called when the multiplexed connection has ended: the server has gone, or has stopped. */
  onDisconnect: () => void = () => {};
  readonly #reads: BareConnection;

  private constructor(
    config: NodeConfig,
    connection: Connection,
    reads: BareConnection,
    sidechannels: SidechannelRegistry,
  ) {
    this.config = config;
    this.connection = connection;
    this.#reads = reads;
    this.sidechannels = sidechannels;
  }

  /**
   * @param onReverse receives the streams on which the node calls us.
   */
  static async dial(
    config: NodeConfig,
    onReverse: (stream: Duplex) => void,
    { interceptors = [], ...multiplexer }: NodeDialOptions = {},
  ): Promise<GitalyNode> {
    const sidechannels = new SidechannelRegistry();
    const options: DialOptions = {
      retry: false,
      traceContext: false,
      maxConnectBackoffMs: MAX_CONNECT_BACKOFF_MS,
      interceptors,
      ...(config.token === undefined ? {} : { token: config.token }),
    };
    const connection = await dialSidechannel(config.address, sidechannels, {
      ...multiplexer,
      ...options,
      onBackchannel: onReverse,
      onDisconnect: () => node.onDisconnect(),
    });
    const reads = await dialBare(config.address, {
      ...options,
      maxChannels: MAX_READ_CHANNELS,
      openSession: readSessions(),
    });
    const node = new GitalyNode(config, connection, reads, sidechannels);
    return node;
  }

  get storage(): string {
    return this.config.storage;
  }

  /** Starts a call with encoded messages in both directions. */
  invokeRaw(method: MethodInfo, requests: Requests<Buffer>, options: RawCallOptions): ResponseStream<Buffer> {
    const isPlain = method.operation === 'accessor' && !options.metadata.has(SIDECHANNEL_ID);
    const connection = isPlain ? this.#forReads() : this.connection;
    // Responses of a raw call are the received bytes.
    return connection.invoke({ method, requests, options, isRaw: true }) as ResponseStream<Buffer>;
  }

  /** Health checks use the multiplexed connection, so calls wait for no other connection. */
  #forReads(): Pick<BareConnection, 'invoke'> {
    const { state } = this.#reads;
    if (state === 'ready') return this.#reads;
    if (state === 'idle') {
      const opened = this.#reads.waitForReady({ timeoutMs: OPEN_LIMIT_MS });
      opened.catch(() => {}); // a later call tries again
    }
    return this.connection;
  }

  /** Reports whether a call would start at once. False after the server has announced its stop. */
  get isReady(): boolean {
    return this.connection.state === 'ready';
  }

  /**
   * Checks the health of the node. Never rejects. A busy Praefect reads responses late, from all
   * nodes at once, so the time in which it reads nothing does not count ({@link patientSignal}).
   *
   * @param onFailure receives the reason for a `false`.
   */
  async isServing(timeoutMs: number, onFailure: (error: unknown) => void): Promise<boolean> {
    using limited = patientSignal(timeoutMs, deadlineExceeded);
    const options = { timeoutMs: timeoutMs * MAX_PATIENCE, signal: limited.signal };
    try {
      const { status } = await this.connection.health.check({}, options);
      if (status === Status.SERVING) return true;
      onFailure(new Error(`node is ${Status[status]}`));
    } catch (error) {
      onFailure(error);
    }
    return false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.connection.close(), this.#reads.close()]);
  }
}

/** Returns the error of a call whose deadline has passed. */
function deadlineExceeded(): GitalyError {
  return new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded');
}

/**
 * Returns the function that opens HTTP/2 sessions for the reads of one node. It opens those of our
 * own client, which needs less CPU time (docs/decisions/0028-http2-client-for-reads.md). If that
 * refuses what the node sends, all later connections use `node:http2`.
 */
export function readSessions(): OpenSession {
  let isRefused = false;
  return (duplex, common) => {
    if (isRefused) return new NodeSession(duplex, common);
    const session = new FrameSession(duplex, common);
    void session.closed.then(() => {
      isRefused ||= session.error instanceof ConnectionError;
    });
    return session;
  };
}
