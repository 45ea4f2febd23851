import type { Http2Session } from 'node:http2';

/**
 * Unread data that one stream may send. 1 MiB keeps a stream at full speed up to a round trip of
 * milliseconds. Together with MAX_CONCURRENT_STREAMS it bounds the data that a peer can make us
 * buffer.
 */
export const STREAM_WINDOW_BYTES = 1 << 20;
/** Data in flight of all streams of a connection together. */
export const SESSION_WINDOW_BYTES = 16 << 20;
/**
 * Data of all streams of a connection to a node that clients of Praefect have not read. Above it,
 * all calls of the node wait for these clients.
 */
export const MAX_UNREAD_BYTES = 256 << 20;
/**
 * Limit of concurrent calls; a peer above it waits. A Praefect sends all calls for a node over one
 * connection.
 */
export const MAX_CONCURRENT_STREAMS = 4096;
/** Limit of header pairs. Rails sends every feature flag as a header: some hundred pairs. */
export const MAX_HEADER_PAIRS = 1000;
/**
 * Limit of a response's header list. nghttp2 refuses a single value above 64 KiB, so a server that
 * respects this limit shortens an error that would not arrive.
 */
export const MAX_RESPONSE_HEADER_LIST_BYTES = 65_535;
/**
 * Limit of a request's header list (RFC 9113, 6.5.2: each pair counts 32 bytes more). nghttp2 ends
 * a connection at the ninth CONTINUATION frame, and has no setting for that. Clients cut header
 * lists into frames of 16 KiB, so this is the size of a HEADERS frame and eight more. A client that
 * respects the limit refuses a longer list itself, and its connection stays open. (Gitaly accepts
 * 1 MiB.)
 */
export const MAX_REQUEST_HEADER_LIST_BYTES = 9 * 16_384;
/** Limit of header blocks that we send. The peer's own limit is checked per call. */
export const MAX_SEND_HEADER_BYTES = 1 << 20;
/** Data that one session may queue for a slow peer before new streams are refused. */
const MAX_SESSION_MEMORY_MB = 512;

/**
 * Limits set by both sides of a connection. A server overrides `maxHeaderListSize` with
 * {@link MAX_REQUEST_HEADER_LIST_BYTES}.
 */
export const SESSION_OPTIONS = {
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  maxSendHeaderBlockLength: MAX_SEND_HEADER_BYTES,
  maxSessionMemory: MAX_SESSION_MEMORY_MB,
  /** Metadata may repeat any key (an option that the type definitions lack). */
  strictSingleValueFields: false,
  settings: {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_RESPONSE_HEADER_LIST_BYTES,
    enablePush: false,
  },
} as const;

/**
 * Sets the window of a connection, which all its streams share. Bun (1.4) sends no more window
 * updates after this call, so there a connection keeps the initial window of HTTP/2.
 */
export function setSessionWindow(session: Http2Session): void {
  if (process.versions.bun === undefined) session.setLocalWindowSize(SESSION_WINDOW_BYTES);
}
