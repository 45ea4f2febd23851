/** An HTTP/2 connection as the calls of a client use it. */
export interface ClientSession {
  /** True when it is closed: nothing arrives any more. */
  readonly isDestroyed: boolean;
  /** True when it accepts no new streams, because either side is closing it. */
  readonly isClosing: boolean;
  /** The reason for a close that was not requested. */
  readonly error: Error | undefined;
  /** Resolves when the connection is closed, for any reason. */
  readonly closed: Promise<void>;
  /**
   * Opens a stream and sends its headers.
   *
   * @throws when the headers cannot be sent.
   */
  request(headers: RequestHeaders, events: CallStreamEvents): CallStream;
  /** Measures a round trip in milliseconds. Rejects when the connection closes. */
  ping(): Promise<number>;
  /** Closes when the last stream has ended. */
  close(): void;
  /** Closes at once. The streams end without a code. */
  destroy(error?: Error): void;
}

/** Flat lists of names and values. */
export interface RequestHeaders {
  readonly path: string;
  /** Metadata that follows the metadata of every request. */
  readonly pairs: readonly string[];
}

/** The headers of every request of a session, before and after its path: flat lists. */
export interface CommonHeaders {
  /** Pseudo headers. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** One stream of a client's session. */
export interface CallStream {
  /** Code of the reset that ended it; NO_ERROR without one. */
  readonly resetCode: number;
  /** False when no data can be sent any more: after `end`, a reset or the end of the connection. */
  readonly isWritable: boolean;
  /** True after `end`. */
  readonly isEnded: boolean;
  /** Sends chunks, uncopied. Returns false if the caller must wait for `onDrain`. */
  write(chunks: readonly Uint8Array[]): boolean;
  /** Sends chunks and the end of the request. */
  end(chunks: readonly Uint8Array[]): void;
  /** Resets the stream, unless it has ended on both sides. */
  reset(code: number): void;
  /** Stops the sender of data when its window is full. Data in flight still arrives. */
  pause(): void;
  resume(): void;
}

/** Receives the events of a stream. */
export interface CallStreamEvents {
  /** Response headers, without those of an interim response. Flat, with pseudo headers. */
  onHeaders(pairs: string[]): void;
  onTrailers(pairs: string[]): void;
  onData(chunk: Buffer): void;
  /** Called once, after the last data and the trailers. Not called after a reset. */
  onEnd(): void;
  /** Called when there is space again after a `write` that returned false. */
  onDrain(): void;
  /** Called once, at the end of the stream for any reason. */
  onClose(): void;
}
