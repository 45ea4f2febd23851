import { connect, type Socket } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const READ_BYTES = 256 * 1024;
const FRAME_HEADER_BYTES = 9;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;
// RFC 9113, section 6.
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;

/**
 * A gRPC client that counts the bytes of responses and drops them: it reads into one buffer, parses
 * the headers of HTTP/2 frames alone, and never makes the server wait. A bench that measures a
 * stream with it measures the server. One call at a time.
 */
export class BareClient implements Disposable {
  readonly #socket: Socket;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** Bytes of {@link #header} that have arrived. */
  #headerBytes = 0;
  /** Bytes of the frame that have not arrived. */
  #left = 0;
  #streamId = -1;
  #dataBytes = 0;
  #done: ((error?: Error) => void) | undefined;

  constructor(path: string) {
    this.#socket = connect({
      path,
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BYTES),
        callback: (length, bytes) => {
          // The buffer that was given is a Buffer.
          this.#read(bytes as Buffer, length);
          return true;
        },
      },
    });
    this.#socket.on('error', (error) => this.#done?.(error));
    this.#socket.on('close', () => this.#done?.(new Error('the server has closed the connection')));
    const window = Buffer.alloc(6);
    window.writeUInt16BE(INITIAL_WINDOW_SIZE);
    window.writeUInt32BE(MAX_WINDOW, 2);
    this.#socket.write(PREFACE);
    this.#socket.write(frame(SETTINGS, 0, 0, window));
    this.#widen(MAX_WINDOW - DEFAULT_WINDOW);
  }

  /**
   * Makes a call with one request.
   *
   * @param path `/gitaly.Service/Method`
   * @returns the bytes of the messages of the response, with their headers.
   * @throws {Error} for a response without messages, as of a call that fails.
   */
  async call(path: string, request: Uint8Array): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#done = (error) => (error === undefined ? resolve() : reject(error));
    this.#streamId += 2;
    this.#dataBytes = 0;
    const length = Buffer.alloc(5);
    length.writeUInt32BE(request.length, 1);
    const headers = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
    ] as const;
    this.#socket.write(frame(HEADERS, END_HEADERS, this.#streamId, Buffer.concat(headers.map(literal))));
    this.#socket.write(frame(DATA, END_STREAM, this.#streamId, Buffer.concat([length, request])));
    await promise.finally(() => {
      this.#done = undefined;
    });
    if (this.#dataBytes === 0) throw new Error(`${path} has returned no message`);
    this.#widen(this.#dataBytes);
    return this.#dataBytes;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #widen(bytes: number): void {
    const increment = Buffer.alloc(4);
    increment.writeUInt32BE(bytes);
    this.#socket.write(frame(WINDOW_UPDATE, 0, 0, increment));
  }

  #read(bytes: Buffer, length: number): void {
    for (let at = 0; at < length; ) {
      if (this.#headerBytes < FRAME_HEADER_BYTES) {
        const end = Math.min(length, at + FRAME_HEADER_BYTES - this.#headerBytes);
        bytes.copy(this.#header, this.#headerBytes, at, end);
        this.#headerBytes += end - at;
        at = end;
        if (this.#headerBytes < FRAME_HEADER_BYTES) return;
        this.#left = this.#header.readUIntBE(0, 3);
      }
      const taken = Math.min(this.#left, length - at);
      this.#left -= taken;
      at += taken;
      if (this.#left > 0) return;
      this.#headerBytes = 0;
      this.#onFrame(bytes.subarray(at - taken, at));
    }
  }

  /** @param end the last bytes of the payload: a control frame is small, and arrives whole. */
  #onFrame(end: Buffer): void {
    const [type, flags = 0] = this.#header.subarray(3);
    const isOver = (flags & END_STREAM) !== 0;
    if (type === DATA) this.#dataBytes += this.#header.readUIntBE(0, 3);
    if ((type === DATA || type === HEADERS) && isOver) this.#done?.();
    else if (type === RST_STREAM || type === GOAWAY) this.#done?.(new Error('the call was refused'));
    else if (type === SETTINGS && (flags & ACK) === 0) this.#socket.write(frame(SETTINGS, ACK, 0));
    else if (type === PING && (flags & ACK) === 0) this.#socket.write(frame(PING, ACK, 0, Buffer.from(end)));
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header.set([type, flags], 3);
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

/** A header field without indexing and without Huffman coding (RFC 7541, section 6.2.2). */
function literal([name, value]: readonly [string, string]): Buffer {
  const text = (bytes: string): Buffer => Buffer.concat([Buffer.from([bytes.length]), Buffer.from(bytes)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}
