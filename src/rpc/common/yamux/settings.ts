import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from './frame.ts';

/** How a session behaves. Both ends choose for themselves; only the backlog is assumed to be equal. */
export interface YamuxSettings {
  /** Client: odd stream ids. Server: even stream ids. */
  readonly role: 'client' | 'server';
  /** Streams of the peer that wait for `accept`; one more is reset. Also how many own streams may be open without an ACK. */
  readonly acceptBacklog: number;
  /** Unread bytes that one stream may hold, ≥ 262144. What exceeds 256 KiB is granted by window updates. */
  readonly maxStreamWindowBytes: number;
  /** After our FIN, how long the peer may take for its own before the stream is reset. */
  readonly streamCloseTimeoutMs: number;
  /** How long a stream of ours may stay without ACK before the whole session is given up. */
  readonly streamOpenTimeoutMs: number;
  /** How long the connection may refuse to take bytes before the whole session is given up; also how long a ping may take. */
  readonly connectionWriteTimeoutMs: number;
}

/** `role` is needed, everything else has a default of {@link YAMUX_DEFAULTS}. */
export type YamuxOptions = Pick<YamuxSettings, 'role'> & Partial<YamuxSettings>;

/** What a peer uses that configures nothing (and clients of Gitaly's reverse channel). */
export const YAMUX_DEFAULTS = {
  acceptBacklog: 256,
  maxStreamWindowBytes: INITIAL_WINDOW_BYTES,
  streamCloseTimeoutMs: 300_000,
  streamOpenTimeoutMs: 75_000,
  connectionWriteTimeoutMs: 10_000,
} as const satisfies Omit<YamuxSettings, 'role'>;

/** What a Gitaly server uses: one waiting stream, 16 MiB windows. */
export const YAMUX_SERVER: YamuxOptions = { role: 'server', acceptBacklog: 1, maxStreamWindowBytes: 16 * 1024 * 1024 };

/** What a client with sidechannels uses: defaults, but it waits only a second for the server's FIN. */
export const YAMUX_SIDECHANNEL_CLIENT: YamuxOptions = { role: 'client', streamCloseTimeoutMs: 1000 };

/** Fills in the defaults. @throws {RangeError} for a backlog below 1 or a window outside 262144 … 2³²-1. */
export function yamuxSettings(options: YamuxOptions): YamuxSettings {
  const settings = { ...YAMUX_DEFAULTS, ...options };
  if (!(settings.acceptBacklog >= 1)) throw new RangeError('yamux: accept backlog must be positive');
  if (!(settings.maxStreamWindowBytes >= INITIAL_WINDOW_BYTES && settings.maxStreamWindowBytes <= MAX_WINDOW_BYTES)) {
    throw new RangeError(`yamux: stream window must be between ${INITIAL_WINDOW_BYTES} and ${MAX_WINDOW_BYTES} bytes`);
  }
  return settings;
}
