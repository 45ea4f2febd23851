import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from './frame.ts';

/** Settings of a session. Each side has its own; only the backlog is assumed to be equal. */
export interface YamuxSettings {
  /** Client: odd stream ids. Server: even stream ids. */
  readonly role: 'client' | 'server';
  /**
   * Maximum number of the peer's streams that wait for `accept`; a further one is reset. Also the
   * maximum number of own streams without an ACK.
   */
  readonly acceptBacklog: number;
  /**
   * Unread bytes that one stream may buffer, ≥ 262144. Window updates grant the part above 256 KiB.
   */
  readonly maxStreamWindowBytes: number;
  /** Time limit for the peer's FIN after ours, before the stream is reset. */
  readonly streamCloseTimeoutMs: number;
  /** Time limit for the ACK of an own stream, before the whole session is ended. */
  readonly streamOpenTimeoutMs: number;
  /**
   * Time for which the connection may refuse bytes, before the whole session is ended; also the
   * time limit for a ping.
   */
  readonly connectionWriteTimeoutMs: number;
  /** Notified of the bytes of each read and each frame that is written, for metrics. */
  readonly onTransfer?: ((direction: 'read' | 'write', bytes: number) => void) | undefined;
}

/** Options: `role` is required, everything else has a default of {@link YAMUX_DEFAULTS}. */
export type YamuxOptions = Pick<YamuxSettings, 'role'> & Partial<YamuxSettings>;

/** Settings of a peer without configuration (and of clients of Gitaly's reverse channel). */
export const YAMUX_DEFAULTS = {
  acceptBacklog: 256,
  maxStreamWindowBytes: INITIAL_WINDOW_BYTES,
  streamCloseTimeoutMs: 300_000,
  streamOpenTimeoutMs: 75_000,
  connectionWriteTimeoutMs: 10_000,
} as const satisfies Omit<YamuxSettings, 'role'>;

/** Settings of a Gitaly server: one waiting stream, 16 MiB windows. */
export const YAMUX_SERVER: YamuxOptions = {
  role: 'server',
  acceptBacklog: 1,
  maxStreamWindowBytes: 16 * 1024 * 1024,
};

/**
 * Settings of a client with sidechannels: the defaults, but it waits only a second for the server's
 * FIN.
 */
export const YAMUX_SIDECHANNEL_CLIENT: YamuxOptions = { role: 'client', streamCloseTimeoutMs: 1000 };

/**
 * Fills in the defaults. @throws {RangeError} for a backlog below 1 or a window outside 262144 …
 * 2³²-1.
 */
export function yamuxSettings(options: YamuxOptions): YamuxSettings {
  const settings = { ...YAMUX_DEFAULTS, ...options };
  if (!(settings.acceptBacklog >= 1)) throw new RangeError('yamux: accept backlog must be positive');
  if (
    !(
      settings.maxStreamWindowBytes >= INITIAL_WINDOW_BYTES &&
      settings.maxStreamWindowBytes <= MAX_WINDOW_BYTES
    )
  ) {
    throw new RangeError(
      `yamux: stream window must be between ${INITIAL_WINDOW_BYTES} and ${MAX_WINDOW_BYTES} bytes`,
    );
  }
  return settings;
}
