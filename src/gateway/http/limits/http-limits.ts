/** What the door puts up with. Each has a default; whoever reaches one is told in the answer. */
export interface HttpLimits {
  /** Connections at once; more are closed at once. Default 20,000. */
  readonly maxConnections: number;
  /** Time for a TLS handshake, and for the head of a request. Default 30 s. */
  readonly headersTimeoutMs: number;
  /** All header lines of a request. Default 32 KiB. */
  readonly maxHeaderBytes: number;
  /** A connection that may serve another request is kept so long. Default 65 s. */
  readonly keepAliveTimeoutMs: number;
  /** A connection on which nothing moves for so long is cut. Hooks may run that long without a word. Default 15 minutes. */
  readonly idleTimeoutMs: number;
  /** One request from its head to the end of its answer. Default 24 hours. */
  readonly requestTimeoutMs: number;
  /** Longest wait for the next bytes of a body, while we want them. Default 60 s. */
  readonly bodyIdleTimeoutMs: number;
  /** The whole body of a fetch. Default 10 minutes, as Workhorse has it. */
  readonly uploadPackBodyTimeoutMs: number;
  /** The body of a fetch, unpacked: what the client wants and has. Default 64 MiB. */
  readonly maxUploadPackBodyBytes: number;
  /** The body of a push, unpacked. Default 32 GiB. */
  readonly maxReceivePackBodyBytes: number;
  /** Requests of git that run at once. Default 1024. */
  readonly maxRequests: number;
  /** Requests of git that run at once for one client: an IPv4 address, or an IPv6 /64. Default 256. */
  readonly maxRequestsPerClient: number;
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
  maxRequests: 1024,
  maxRequestsPerClient: 256,
};
