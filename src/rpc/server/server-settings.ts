import {
  MAX_CONCURRENT_STREAMS,
  MAX_REQUEST_HEADER_LIST_BYTES,
  SESSION_OPTIONS,
} from '#rpc/common/grpc/http2-limits';

/** The settings that a client gets in the first frame of a connection. */
export const SERVER_SETTINGS = {
  ...SESSION_OPTIONS.settings,
  maxHeaderListSize: MAX_REQUEST_HEADER_LIST_BYTES,
  maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
} as const;
