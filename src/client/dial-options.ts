import type { NamesOf } from '#base/check-names';
import type { MetadataInit } from '#rpc/common/metadata';
import type { CallCredentials, Interceptor } from './call/call-types.ts';
import type { RetryPolicy } from './call/retry.ts';
import type { TraceContext } from './call/trace-context.ts';
import type { DnsResolverOptions } from './connect/dns-resolver.ts';

/** TLS options of `tls://` and `dns+tls:` addresses. */
export interface TlsOptions {
  /** Trusted certificates (PEM) instead of the system's. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /** Name that the server's certificate must contain. Default: the host of the address. */
  readonly serverName?: string;
  /** Default TLSv1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Client certificate and key (PEM), for servers that require one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** `false` accepts any certificate. Default true. */
  readonly rejectUnauthorized?: boolean;
}

export interface DialOptions {
  /** The server's secret; each call is signed with it. */
  readonly token?: string;
  /** Other metadata per call; takes precedence over `token`. */
  readonly credentials?: CallCredentials;
  readonly tls?: TlsOptions;
  /** Sent as `x-gitlab-client-name` and `client_name`. */
  readonly clientName?: string;
  /** Correlation id of calls that set none and run outside `withCorrelationId`. */
  readonly correlationId?: string | (() => string | undefined);
  /** Returns the trace of each call. Default: that of `withTraceContext`. `false` sends none. */
  readonly traceContext?: (() => TraceContext | undefined) | false;
  /** Interceptors of every call; the first is the outermost. */
  readonly interceptors?: readonly Interceptor[];
  /**
   * Pings on a silent connection; `false` for none. Default: every 20 s, with 20 s for the
   * response, also while no call runs. Gitaly disconnects clients that ping more often than every
   * 10 s.
   */
  readonly keepalive?:
    | { readonly timeMs?: number; readonly timeoutMs?: number; readonly withoutCalls?: boolean }
    | false;
  /** Longest pause between attempts to connect, plus 20 %. Default 2 minutes, as other gRPC clients. */
  readonly maxConnectBackoffMs?: number;
  /**
   * Limit of connections to each address. Further ones are opened while the open ones have 16 or
   * more running calls each, and closed when fewer suffice. A server with several processes handles
   * each connection in one of them. Default 1; `dialSidechannel` always uses one.
   */
  readonly maxChannels?: number;
  /** Retries of read-only methods, and of the methods that it lists; `false` for none. */
  readonly retry?: Partial<RetryPolicy> | false;
  /**
   * How a call chooses among the addresses of a name. `round_robin` (default) connects to all and
   * uses them in turn; `pick_first` uses the first that works, as Gitaly's clients before 15.9.
   */
  readonly loadBalancing?: 'round_robin' | 'pick_first';
  readonly dnsResolver?: DnsResolverOptions;
  /**
   * Maximum size of a response message; a larger one fails with RESOURCE_EXHAUSTED. Default 4 MiB.
   */
  readonly maxReceiveMessageBytes?: number;
  /** Timeout of calls that set neither a timeout nor a deadline. Default none. */
  readonly defaultTimeoutMs?: number;
  /** Metadata of every call. */
  readonly metadata?: MetadataInit;
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  /**
   * Makes `dial` wait for the connection, and fail at once on a permanent error (no such socket,
   * refused). This is `FailOnNonTempDialError` of Gitaly 15, which has no effect in Gitaly's newer
   * clients.
   */
  readonly failOnNonTemporaryDialError?: boolean;
  /** Aborts the wait of `failOnNonTemporaryDialError`. It has no effect later. */
  readonly signal?: AbortSignal;
}

const TLS_NAMES: NamesOf<TlsOptions> = {
  ca: true,
  serverName: true,
  minVersion: true,
  cert: true,
  key: true,
  rejectUnauthorized: true,
};
const KEEPALIVE_NAMES: NamesOf<Exclude<DialOptions['keepalive'], false | undefined>> = {
  timeMs: true,
  timeoutMs: true,
  withoutCalls: true,
};
const RETRY_NAMES: NamesOf<RetryPolicy> = {
  maxAttempts: true,
  initialBackoffMs: true,
  maxBackoffMs: true,
  multiplier: true,
  codes: true,
  methods: true,
};
const RESOLVER_NAMES: NamesOf<DnsResolverOptions> = { refreshMs: true, lookupTimeoutMs: true };

/** The names of all options, for `checkNames`. */
export const DIAL_NAMES: NamesOf<DialOptions> = {
  token: true,
  credentials: true,
  tls: TLS_NAMES,
  clientName: true,
  correlationId: true,
  traceContext: true,
  interceptors: true,
  keepalive: KEEPALIVE_NAMES,
  maxConnectBackoffMs: true,
  maxChannels: true,
  retry: RETRY_NAMES,
  loadBalancing: true,
  dnsResolver: RESOLVER_NAMES,
  maxReceiveMessageBytes: true,
  defaultTimeoutMs: true,
  metadata: true,
  featureFlags: true,
  failOnNonTemporaryDialError: true,
  signal: true,
};
