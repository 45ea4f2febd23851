/** The kind of error, for callers that branch. The message is for people. */
export type YamuxErrorReason =
  | 'session-closed'
  | 'remote-go-away'
  | 'protocol'
  | 'stream-reset'
  | 'stream-close-timeout'
  | 'stream-open-timeout'
  | 'write-timeout'
  | 'ping-timeout'
  | 'ids-exhausted';

/** The error of sessions and streams whose cause is the multiplexer or its peer. */
export class YamuxError extends Error {
  override readonly name = 'YamuxError';
  readonly reason: YamuxErrorReason;

  constructor(reason: YamuxErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
