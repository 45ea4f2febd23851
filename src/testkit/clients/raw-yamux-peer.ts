import { type Duplex, duplexPair } from 'node:stream';
import { encodeHeader, FRAME_TYPE } from '#rpc/common/yamux/frame';
import { FrameParser } from '#rpc/common/yamux/frame-parser';
import { YamuxSession } from '#rpc/common/yamux/session';
import type { YamuxOptions } from '#rpc/common/yamux/settings';

/** One received frame. */
export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly length: number;
  payload: Buffer;
}

/** The remote end of a session, which sends arbitrary frames and records those it receives. */
export class RawYamuxPeer {
  readonly frames: RawFrame[] = [];
  readonly connection: Duplex;
  hasEnded = false;
  readonly #parser = new FrameParser({
    frame: (type, flags, id, length) =>
      this.frames.push({ type, flags, id, length, payload: Buffer.alloc(0) }),
    payload: (piece) => {
      const last = this.frames.at(-1);
      if (last !== undefined) last.payload = Buffer.concat([last.payload, piece]);
    },
  });

  constructor(connection: Duplex) {
    this.connection = connection;
    connection.on('data', (chunk: Buffer) => this.#parser.write(chunk));
    connection.on('error', () => {});
    connection.on('end', () => {
      this.hasEnded = true;
    });
  }

  /** Sends a frame that is not a data frame. */
  frame(type: number, flags: number, id: number, length: number): void {
    this.connection.write(encodeHeader(type, flags, id, length));
  }

  data(id: number, payload: Buffer | string, flags = 0): void {
    const bytes = Buffer.from(payload);
    this.connection.write(Buffer.concat([encodeHeader(FRAME_TYPE.data, flags, id, bytes.length), bytes]));
  }

  /**
   * Returns the frames since the last call as short text: `window:SYN 1 +0`, `data 1 hello`,
   * `goAway 1`.
   */
  take(): string[] {
    return this.frames.splice(0).map(describe);
  }
}

const TYPES = ['data', 'window', 'ping', 'goAway'];
const FLAGS = [
  [1, 'SYN'],
  [2, 'ACK'],
  [4, 'FIN'],
  [8, 'RST'],
] as const;

function describe({ type, flags, id, length, payload }: RawFrame): string {
  const names = FLAGS.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name);
  const head = [TYPES[type], ...names].join(':');
  if (type === FRAME_TYPE.data)
    return `${head} ${id} ${payload.length > 20 ? `(${payload.length})` : payload.toString('latin1')}`;
  if (type === FRAME_TYPE.windowUpdate) return `${head} ${id} +${length}`;
  return `${head} ${length}`;
}

/** Returns a session in memory with a raw remote end. */
export function sessionWithRawPeer(options: YamuxOptions): { session: YamuxSession; peer: RawYamuxPeer } {
  const [near, far] = duplexPair();
  return { session: new YamuxSession(near, options), peer: new RawYamuxPeer(far) };
}

/** Returns two connected sessions in memory. */
export function sessionPair(
  client: Partial<YamuxOptions> = {},
  server: Partial<YamuxOptions> = {},
): { client: YamuxSession; server: YamuxSession } {
  const [near, far] = duplexPair();
  return {
    client: new YamuxSession(near, { ...client, role: 'client' }),
    server: new YamuxSession(far, { ...server, role: 'server' }),
  };
}

/** Lets all immediate work finish. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await new Promise(setImmediate);
}
