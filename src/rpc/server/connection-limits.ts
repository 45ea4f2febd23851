/**
 * What a server grants a stranger's connection. What HTTP/2 streams and messages may hold is in `rpc/common/http2-limits`, what
 * multiplexed ones may in `rpc/common/yamux/settings`. Floods that are not named here (settings, continuations, empty or invalid
 * frames, answers that nobody reads) end at the defaults of Node's HTTP/2; `test/floods` shows it. There is no limit on the number of
 * connections, as in Gitaly: an idle one costs 5 KB before and 14 KB after its HTTP/2 handshake.
 */

/** For each step of a beginning: TLS, the first eleven bytes and the multiplexer, the HTTP/2 preface. grpc-go's time. */
export const HANDSHAKE_TIMEOUT_MS = 120_000;

/** Connections that wait for accept; the system's own limit is usually lower or equal. */
export const ACCEPT_BACKLOG = 4096;

/** Pings that came too early, in a row, before the client is sent away. grpc-go's number. */
export const MAX_PING_STRIKES = 2;

/**
 * Streams that a client may reset: this many at once, and that many a second for long. Each reset call may have started a git
 * process, so a flood of them is an attack; a batch of cancelled calls is not.
 */
export const STREAM_RESET_BURST = 5000;
export const STREAM_RESET_RATE = 500;

/** What is left of a connection's life after its last frame was queued: a client that does not read cannot hold it open. */
export const LINGER_MS = 200;

/** How long streams of a multiplexed connection may go on after the client closed its gRPC stream, which everything else belongs to. */
export const MULTIPLEXER_CLOSE_MS = 5000;
