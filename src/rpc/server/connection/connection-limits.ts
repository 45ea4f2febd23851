/**
 * Limits of connections. Those of HTTP/2 streams and messages are in
 * `rpc/common/grpc/http2-limits`, those of multiplexed ones in `rpc/common/yamux/settings`. Floods
 * that are not listed here (settings, continuations, empty or invalid frames, unread responses)
 * end at the defaults of Node's HTTP/2, as `test/floods` shows. The number of connections is
 * unlimited, as in Gitaly: an idle one costs 5 KB before its HTTP/2 preface, 14 KB after it.
 */

/**
 * Time limit for each step of a new connection: TLS, the first eleven bytes and the multiplexer,
 * the HTTP/2 preface. grpc-go's value.
 */
export const HANDSHAKE_TIMEOUT_MS = 120_000;

/**
 * Limit of connections that wait to be accepted; the system's own limit is usually lower or equal.
 */
export const ACCEPT_BACKLOG = 4096;

/**
 * Limit of consecutive pings that arrive too early, before the client is disconnected. grpc-go's
 * value.
 */
export const MAX_PING_STRIKES = 2;

/**
 * Limit of stream resets by a client: a burst of this many, and this many per second in the long
 * run. Each reset call may have started a git process, so a flood of resets is an attack; a batch
 * of cancelled calls is not.
 */
export const STREAM_RESET_BURST = 5000;
export const STREAM_RESET_RATE = 500;
/**
 * The limit of nghttp2, which ends a connection with INTERNAL_ERROR; ours comes first, with
 * ENHANCE_YOUR_CALM.
 */
export const NGHTTP2_RESET_BURST = 2 * STREAM_RESET_BURST;

/**
 * TLS handshakes that may begin in one iteration of the event loop: one takes up to six
 * milliseconds.
 */
export const HANDSHAKES_PER_TURN = 2;

/**
 * Calls that may start in one iteration of the event loop: each takes some tenth of a millisecond.
 */
export const CALLS_PER_TURN = 32;

/**
 * Streams that a connection may open in one iteration of the event loop before others have their
 * turn.
 */
export const STREAMS_PER_TURN = 64;

/**
 * Memory for messages that have not been read yet: those that have arrived in part, and those that
 * wait to be decoded. Streams below 64 KiB are not counted. Clients send large contents in messages
 * of 128 KiB, so no client needs this many of the largest messages at once.
 */
export const MAX_HELD_BYTES_PER_CONNECTION = 64 << 20;
export const MAX_HELD_BYTES = 160 << 20;

/**
 * Elements of lists, and messages in messages, in one request: all object ids that fit into 4 MiB.
 * Two bytes may be an element, and become an object of a hundred bytes.
 */
export const MAX_REQUEST_ELEMENTS = 131_072;
/** Memory for an element, decoded. */
export const ELEMENT_BYTES = 128;
/** From this size on, the elements of a message are counted, and it is decoded in its turn. */
export const LARGE_REQUEST_BYTES = 16_384;
/** Memory for large requests from their decoding to the end of their call. Others wait. */
export const MAX_WORK_BYTES = 32 << 20;

/**
 * Messages decompressed at once. Each takes a thread of Node's pool (of four), and up to the size
 * of a message in memory.
 */
export const DECOMPRESSIONS_AT_ONCE = 2;

/**
 * Longest life of a connection after its last frame was queued: a client that does not read cannot
 * keep it open.
 */
export const DRAIN_MS = 200;

/**
 * Time that a client has to read its last responses and to close a connection that the server
 * ends. A busy client that first writes to a closed connection loses what it has not read. Event
 * loops on a busy machine are late by a second and more. Other clients close it at once, so the
 * stop of a server takes this long only for one that hangs. `up` gives its servers five seconds.
 */
export const LAST_READ_MS = 4000;

/** Time for the first bytes of a connection that was accepted just before a drain. */
export const FIRST_BYTES_MS = 100;

/** Time for which a drain waits for the handshakes of such connections. */
export const ARRIVAL_MS = 1000;

/**
 * Time for which streams of a multiplexed connection may continue after the client closed its gRPC
 * stream, to which all other streams belong.
 */
export const MULTIPLEXER_CLOSE_MS = 5000;

/** Time for handlers to detect an abort, at a hard stop and in a change that is failed. */
export const ABORT_GRACE_MS = 5000;
