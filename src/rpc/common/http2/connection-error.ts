/** RFC 9113, section 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** A violation of HTTP/2 by the peer, which ends the connection. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** Sent to the peer with GOAWAY. */
  readonly code: number;

  constructor(code: keyof typeof ErrorCode, message: string) {
    super(message);
    this.code = ErrorCode[code];
  }
}
