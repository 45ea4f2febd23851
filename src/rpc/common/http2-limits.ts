/**
 * What one stream may send before its reader has read. 1 MiB keeps a stream at full speed up to a round trip of milliseconds, and
 * with MAX_CONCURRENT_STREAMS bounds what a peer can make us hold.
 */
export const STREAM_WINDOW_BYTES = 1 << 20;
/** What all streams of a connection may have in flight together. */
export const SESSION_WINDOW_BYTES = 16 << 20;
/** A Praefect sends all calls for a node over one connection; a peer above it waits. */
export const MAX_CONCURRENT_STREAMS = 4096;
/** Rails sends every feature flag as a header of its own: some hundred pairs, below 64 KiB together. */
const MAX_HEADER_PAIRS = 1000;
export const MAX_HEADER_LIST_BYTES = 65_535;
/** Header blocks that we send; the peer's own limit is looked at per call. */
const MAX_SEND_HEADER_BYTES = 1 << 20;
/** What one session may hold in queues towards a slow peer before new streams are refused. */
const MAX_SESSION_MEMORY_MB = 512;

/** Limits that both sides of a connection set. */
export const SESSION_OPTIONS = {
  maxHeaderListPairs: MAX_HEADER_PAIRS,
  maxSendHeaderBlockLength: MAX_SEND_HEADER_BYTES,
  maxSessionMemory: MAX_SESSION_MEMORY_MB,
  /** Metadata may repeat any key (an option that the type definitions lack). */
  strictSingleValueFields: false,
  settings: {
    initialWindowSize: STREAM_WINDOW_BYTES,
    maxHeaderListSize: MAX_HEADER_LIST_BYTES,
    enablePush: false,
  },
} as const;
