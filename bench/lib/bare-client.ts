import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const READ_BYTES = 256 * 1024;
const FRAME_HEADER_BYTES = 9;
const TYPE_AT = 3;
const STREAM_AT = 5;
const SETTING_BYTES = 6;
/** Of a message of gRPC. */
const PREFIX_BYTES = 5;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
const MAX_FRAME_BYTES = 16_384;
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
 * the headers of HTTP/2 frames alone, never makes the server wait, and sends memory uncopied. A
 * bench that measures a stream with it measures the server. One call at a time.
 */
export class BareClient implements Disposable {
  readonly #socket: Socket;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** Bytes of {@link #header} that have arrived. */
  #headerBytes = 0;
  /** Bytes of the frame that have not arrived. */
  #left = 0;
  /** The payload of a frame without data. */
  #payload: Buffer[] = [];
  #streamId = -1;
  #dataBytes = 0;
  #done: ((error?: Error) => void) | undefined;
  /** Bytes that the server takes: of a new stream, of this one, of all. */
  readonly #windows = { initial: DEFAULT_WINDOW, stream: 0, connection: DEFAULT_WINDOW };
  #wake: (() => void) | undefined;

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
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the server has closed the connection')));
    const window = Buffer.alloc(6);
    window.writeUInt16BE(INITIAL_WINDOW_SIZE);
    window.writeUInt32BE(MAX_WINDOW, 2);
    this.#socket.write(PREFACE);
    this.#socket.write(frame(SETTINGS, 0, 0, window));
    this.#widen(MAX_WINDOW - DEFAULT_WINDOW);
  }

  /**
   * Makes a call.
   *
   * @param path `/gitaly.Service/Method`
   * @returns the bytes of the messages of the response, with their headers.
   * @throws {Error} for a response without messages, as of a call that fails.
   */
  async call(path: string, requests: readonly Uint8Array[]): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#done = (error) => (error === undefined ? resolve() : reject(error));
    this.#streamId += 2;
    this.#dataBytes = 0;
    this.#windows.stream = this.#windows.initial;
    const headers = [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'localhost'],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
    ] as const;
    this.#socket.write(frame(HEADERS, END_HEADERS, this.#streamId, Buffer.concat(headers.map(literal))));
    await Promise.all([promise, this.#send(requests)]);
    if (this.#dataBytes === 0) throw new Error(`${path} has returned no message`);
    this.#widen(this.#dataBytes);
    return this.#dataBytes;
  }

  async #send(requests: readonly Uint8Array[]): Promise<void> {
    for (const request of requests) {
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix.writeUInt32BE(request.length, 1);
      await this.#sendData(prefix);
      await this.#sendData(request);
    }
    if (this.#done !== undefined) this.#socket.write(frame(DATA, END_STREAM, this.#streamId));
  }

  /** Sends data as fast as the server takes it, until the call has ended. */
  async #sendData(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && this.#done !== undefined; ) {
      const length = Math.min(
        data.length - at,
        MAX_FRAME_BYTES,
        this.#windows.stream,
        this.#windows.connection,
      );
      if (length <= 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      this.#windows.stream -= length;
      this.#windows.connection -= length;
      this.#socket.cork();
      this.#socket.write(frameHeader(DATA, 0, this.#streamId, length));
      const isWritable = this.#socket.write(data.subarray(at, at + length));
      this.#socket.uncork();
      at += length;
      if (!isWritable && !this.#socket.destroyed) await once(this.#socket, 'drain');
    }
  }

  #end(error?: Error): void {
    this.#done?.(error);
    this.#done = undefined;
    this.#wake?.();
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
      if (this.#header[TYPE_AT] !== DATA) this.#payload.push(Buffer.from(bytes.subarray(at, at + taken)));
      this.#left -= taken;
      at += taken;
      if (this.#left > 0) return;
      this.#headerBytes = 0;
      this.#onFrame(Buffer.concat(this.#payload.splice(0)));
    }
  }

  /** @param payload empty for data. */
  #onFrame(payload: Buffer): void {
    const [type, flags = 0] = this.#header.subarray(TYPE_AT);
    if (type === DATA) this.#dataBytes += this.#header.readUIntBE(0, 3);
    if (type === DATA || type === HEADERS) {
      if ((flags & END_STREAM) !== 0) this.#end();
    } else if (type === RST_STREAM || type === GOAWAY) this.#end(new Error('the call was refused'));
    else if (type === WINDOW_UPDATE) this.#onWindow(payload.readUInt32BE());
    else if ((flags & ACK) === 0 && type === SETTINGS) this.#onSettings(payload);
    else if ((flags & ACK) === 0 && type === PING) this.#socket.write(frame(PING, ACK, 0, payload));
  }

  #onSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += SETTING_BYTES) {
      if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const window = payload.readUInt32BE(at + 2);
      this.#windows.stream += window - this.#windows.initial;
      this.#windows.initial = window;
    }
    this.#socket.write(frame(SETTINGS, ACK, 0));
    this.#wake?.();
  }

  #onWindow(bytes: number): void {
    const streamId = this.#header.readUInt32BE(STREAM_AT);
    if (streamId === 0) this.#windows.connection += bytes;
    else if (streamId === this.#streamId) this.#windows.stream += bytes;
    this.#wake?.();
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([frameHeader(type, flags, streamId, payload.length), payload]);
}

function frameHeader(type: number, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(length, 0, 3);
  header.set([type, flags], TYPE_AT);
  header.writeUInt32BE(streamId, STREAM_AT);
  return header;
}

/** A header field without indexing and without Huffman coding (RFC 7541, section 6.2.2). */
function literal([name, value]: readonly [string, string]): Buffer {
  const text = (bytes: string): Buffer => Buffer.concat([Buffer.from([bytes.length]), Buffer.from(bytes)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}
