import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { type PacketSink, PacketSplitter } from '#base/pkt-line/packet-splitter';
import { writeChunk } from '#base/streams/copy-stream';

/** Band of git's reason before it fails. @see git: sideband.h */
const ERROR_BAND = 3;
const ERR = Buffer.from('ERR ');

/**
 * Forwards git's output to a response, and remembers whether it ends with an error of git. Each
 * write waits for the response, so that nothing is pending when the call ends.
 */
export class GitOutput implements PacketSink {
  readonly stdout: Writable;
  #splitter: PacketSplitter | undefined = new PacketSplitter(this);
  #beginning = Buffer.alloc(0);

  /** @param onChunk called for each piece of the output. */
  constructor(response: ServerResponse, onChunk?: (chunk: Buffer) => void) {
    const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
      this.#read(chunk);
      onChunk?.(chunk);
      const wait = writeChunk(response, chunk);
      if (wait === undefined) done();
      else wait.then(() => done(), done);
    };
    this.stdout = new Writable({ write, highWaterMark: 1 }).on('error', () => {});
  }

  /** True if the last packet is complete and contains git's reason for ending. */
  get endsWithError(): boolean {
    try {
      this.#splitter?.end();
    } catch {
      return false; // inside a packet
    }
    const isError = this.#beginning[0] === ERROR_BAND || this.#beginning.equals(ERR);
    return this.#splitter !== undefined && isError;
  }

  packet(): boolean {
    this.#beginning = Buffer.alloc(0);
    return true;
  }

  payload(piece: Buffer): void {
    if (this.#beginning.length < ERR.length)
      this.#beginning = Buffer.concat([
        this.#beginning,
        piece.subarray(0, ERR.length - this.#beginning.length),
      ]);
  }

  #read(chunk: Buffer): void {
    try {
      this.#splitter?.write(chunk);
    } catch {
      this.#splitter = undefined; // not packets, as in a pack of protocol 0 without side bands
    }
  }
}
