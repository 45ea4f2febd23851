import { type Duplex, duplexPair } from 'node:stream';
import type { CallStreamEvents } from '#rpc/common/grpc/client-session';
import { FRAME_HEADER_BYTES, type Frame, FrameType, putFrameHeader } from '#rpc/common/http2/frame';
import { FrameSession } from '#rpc/common/http2/frame-session';
import { FrameSplitter } from '#rpc/common/http2/frame-splitter';
import { until } from '../until.ts';

const PREFACE_BYTES = 24;

/** Headers of every request in tests. */
export const TEST_HEADERS = {
  before: [':method', 'POST', ':scheme', 'http', ':authority', 'localhost', ':path'],
  after: ['content-type', 'application/grpc', 'te', 'trailers'],
};

/** A frame that a test sends. */
export interface SentFrame {
  readonly type: number;
  readonly flags?: number;
  readonly streamId?: number;
  readonly payload?: Uint8Array;
  /** Default: that of the payload. */
  readonly length?: number;
}

/** Returns the bytes of a frame. */
export function frameBytes({ type, flags = 0, streamId = 0, payload, length }: SentFrame): Buffer {
  const bytes = payload ?? Buffer.alloc(0);
  const buffer = Buffer.alloc(FRAME_HEADER_BYTES);
  putFrameHeader(buffer, 0, { length: length ?? bytes.length, type, flags, streamId });
  return Buffer.concat([buffer, bytes]);
}

/** A client's session, and a server whose every byte comes from the test. */
export class RawHttp2Server implements Disposable {
  readonly session: FrameSession;
  readonly socket: Duplex;
  /** Everything that the client has sent. */
  readonly frames: Frame[] = [];
  #prefaceLeft = PREFACE_BYTES;

  constructor() {
    const [client, server] = duplexPair();
    this.session = new FrameSession(client, TEST_HEADERS);
    this.socket = server;
    const splitter = new FrameSplitter((frame) => {
      this.frames.push(frame);
    });
    server.on('data', (chunk: Buffer) => {
      const skipped = Math.min(this.#prefaceLeft, chunk.length);
      this.#prefaceLeft -= skipped;
      splitter.push(chunk.subarray(skipped));
    });
    server.on('end', () => server.end());
  }

  send(...frames: readonly SentFrame[]): void {
    this.socket.write(Buffer.concat(frames.map(frameBytes)));
  }

  /** Sends the server's first frame. */
  sendSettings(payload: Uint8Array = Buffer.alloc(0)): void {
    this.send({ type: FrameType.SETTINGS, payload });
  }

  /** Returns the frames of a type that the client has sent. */
  received(type: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** Waits for the end of the connection. Returns the code of the client's GOAWAY. */
  async goAwayCode(): Promise<number | undefined> {
    await until(() => this.received(FrameType.GOAWAY).length > 0);
    return this.received(FrameType.GOAWAY)[0]?.payload.readUInt32BE(4);
  }

  [Symbol.dispose](): void {
    this.session.destroy();
    this.socket.destroy();
  }
}

/** Records the events of a stream as texts. */
export class RecordedStream implements CallStreamEvents {
  readonly events: string[] = [];
  dataBytes = 0;
  readonly #chunks: Buffer[] = [];

  get data(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  onHeaders(pairs: string[]): void {
    this.events.push(`headers ${pairs.join(' ')}`);
  }

  onTrailers(pairs: string[]): void {
    this.events.push(`trailers ${pairs.join(' ')}`);
  }

  onData(chunk: Buffer): void {
    this.dataBytes += chunk.length;
    this.#chunks.push(chunk);
  }

  onEnd(): void {
    this.events.push('end');
  }

  onDrain(): void {
    this.events.push('drain');
  }

  onClose(): void {
    this.events.push('close');
  }
}
