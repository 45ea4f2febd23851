import type { MetadataInit } from '#rpc/common/metadata';
import type { CallCredentials, Interceptor } from './call/call-types.ts';
import type { RetryPolicy } from './call/retry.ts';
import type { TraceContext } from './call/trace-context.ts';
import type { DnsResolverOptions } from './connect/dns-resolver.ts';

/** For `tls://` and `dns+tls:` addresses. */
export interface TlsOptions {
  /** Trusted certificates (PEM) instead of the system's. */
  readonly ca?: string | Buffer | readonly (string | Buffer)[];
  /** The name that the server's certificate must bear. Default: the host of the address. */
  readonly serverName?: string;
  /** Default TLSv1.2. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Own certificate and key (PEM), for servers that ask for one. */
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  /** `false` accepts any certificate. Default true. */
  readonly rejectUnauthorized?: boolean;
}

export interface DialOptions {
  /** The server's secret; each call is signed with it. */
  readonly token?: string;
  /** Any other metadata per call; wins over `token`. */
  readonly credentials?: CallCredentials;
  readonly tls?: TlsOptions;
  /** Sent as `x-gitlab-client-name` and `client_name`. */
  readonly clientName?: string;
  /** For calls that name none and run outside of `withCorrelationId`. */
  readonly correlationId?: string | (() => string | undefined);
  /** The trace that a call belongs to, asked at each call. Default: that of `withTraceContext`. `false` sends none. */
  readonly traceContext?: (() => TraceContext | undefined) | false;
  /** Around every call; the first is the outermost. */
  readonly interceptors?: readonly Interceptor[];
  /**
   * Pings on a silent connection; `false` for none. Default: every 20 s, 20 s for the answer, also while no call runs. Gitaly cuts
   * off clients that ping more often than every 10 s.
   */
  readonly keepalive?: { readonly timeMs?: number; readonly timeoutMs?: number; readonly withoutCalls?: boolean } | false;
  /** For accessors, and the `methods` that it names; `false` for none. */
  readonly retry?: Partial<RetryPolicy> | false;
  /**
   * How calls choose among the addresses of a name. `round_robin` (default) connects to all and takes turns; `pick_first` uses the
   * first that works, as Gitaly's clients before 15.9.
   */
  readonly loadBalancing?: 'round_robin' | 'pick_first';
  readonly dnsResolver?: DnsResolverOptions;
  /** A larger response message fails with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number;
  /** For calls that set neither a time-out nor a deadline. Default none. */
  readonly defaultTimeoutMs?: number;
  /** Sent with every call. */
  readonly metadata?: MetadataInit;
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  /**
   * Wait for the connection, and fail at once when it fails for a reason that will not pass by itself (no such socket, refused):
   * `FailOnNonTempDialError` of Gitaly 15. In Gitaly's newer client that option has no effect; for that, leave this one out.
   */
  readonly failOnNonTemporaryDialError?: boolean;
  /** Limits the waiting of `failOnNonTemporaryDialError`. It has no effect later. */
  readonly signal?: AbortSignal;
}
