/** Limits of the gateway. Each has a default; a client that reaches one receives an error. */
export interface HttpLimits {
  /** Maximum number of connections; further ones are closed at once. Default 20,000. */
  readonly maxConnections: number;
  /** Time limit for a TLS handshake, and for the headers of a request. Default 30 s. */
  readonly headersTimeoutMs: number;
  /** Maximum size of all headers of a request. Default 32 KiB. */
  readonly maxHeaderBytes: number;
  /** Time for which an idle connection is kept for another request. Default 65 s. */
  readonly keepAliveTimeoutMs: number;
  /**
   * Time without data after which a connection is closed. Hooks may be silent for that long.
   * Default 15 minutes.
   */
  readonly idleTimeoutMs: number;
  /** Time limit from the headers of a request to the end of its response. Default 24 hours. */
  readonly requestTimeoutMs: number;
  /** Longest wait for the next bytes of a body, while the server reads it. Default 60 s. */
  readonly bodyIdleTimeoutMs: number;
  /** Time limit for the whole body of a fetch. Default 10 minutes, as in Workhorse. */
  readonly uploadPackBodyTimeoutMs: number;
  /**
   * Maximum size of a fetch's body, decompressed: the client's wants and haves. Default 64 MiB.
   */
  readonly maxUploadPackBodyBytes: number;
  /** Maximum size of a push's body, decompressed. Default 32 GiB. */
  readonly maxReceivePackBodyBytes: number;
  /** Maximum size of a file of Git LFS. Default 32 GiB. */
  readonly maxLfsFileBytes: number;
  /** Maximum number of concurrent git requests. Default 1024. */
  readonly maxRequests: number;
  /**
   * Maximum number of concurrent git requests of one client: an IPv4 address, or an IPv6 /64.
   * Default 256.
   */
  readonly maxRequestsPerClient: number;
  /**
   * Maximum number of requests to the API in a minute with one token or password, or from one
   * client without them; 0 for any number. Default 0.
   */
  readonly maxApiRequestsPerMinute: number;
}

const KIB = 1024;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  maxConnections: 20_000,
  headersTimeoutMs: 30 * SECOND_MS,
  maxHeaderBytes: 32 * KIB,
  keepAliveTimeoutMs: 65 * SECOND_MS,
  idleTimeoutMs: 15 * MINUTE_MS,
  requestTimeoutMs: 24 * 60 * MINUTE_MS,
  bodyIdleTimeoutMs: 60 * SECOND_MS, // as nginx's client_body_timeout
  uploadPackBodyTimeoutMs: 10 * MINUTE_MS,
  maxUploadPackBodyBytes: 64 * KIB ** 2,
  maxReceivePackBodyBytes: 32 * KIB ** 3,
  maxLfsFileBytes: 32 * KIB ** 3,
  maxRequests: 1024,
  maxRequestsPerClient: 256,
  maxApiRequestsPerMinute: 0,
};
