import { once } from 'node:events';
import { Writable } from 'node:stream';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { forgetWritten, type SshChannel } from './ssh-library.ts';

/** State of the connection that a channel sends through. */
export interface ChannelSender {
  /** Resolves when the connection accepts more; rejects when it is closed. */
  ready(): Promise<void> | undefined;
  /** Runs a function that sends, and sends its data in one write. */
  batchWrites(send: () => void): void;
  /** Restarts the idle timeout, because data of a command was transferred. */
  refreshIdleTimer(): void;
}

/**
 * Bytes of either output that may be buffered here; the client's window and the socket have their
 * own buffers.
 */
const HIGH_WATER_BYTES = 256 * 1024;

/**
 * The two outputs of a command on their way to the client. Writes are sent one after another,
 * because the library has one buffer for both while it waits for the client's window. A slow client
 * slows the writer: a write completes when the window has accepted all of it, and the next one
 * begins when the socket has.
 */
export class ChannelOutput {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly #channel: SshChannel;
  readonly #sender: ChannelSender;
  #last: Promise<void> = Promise.resolve();
  /** Called for each piece of the standard output that is sent. */
  onOutput: ((data: Buffer) => void) | undefined;

  constructor(channel: SshChannel, sender: ChannelSender) {
    this.#channel = channel;
    this.#sender = sender;
    this.stdout = this.#outputTo(channel);
    this.stderr = this.#outputTo(channel.stderr);
  }

  /** Sends the rest and the exit code. */
  async finish(exitCode: number): Promise<void> {
    for (const stream of [this.stdout, this.stderr]) {
      stream.end();
      if (!stream.writableFinished) await once(stream, 'finish');
    }
    this.#channel.exit(exitCode);
    this.#channel.end();
    // further input is dropped, but must be read before the channel ends
    this.#channel.resume();
  }

  /** Closes both outputs with an error after the client has disconnected. */
  destroy(reason: Error): void {
    this.stdout.destroy(reason);
    this.stderr.destroy(reason);
  }

  #outputTo(target: Writable): Writable {
    const send = (data: Buffer, done: (error?: Error | null) => void) => {
      this.#last = this.#last.then(() => this.#send(target, data));
      this.#last.then(() => done(), done);
    };
    return new Writable({
      highWaterMark: HIGH_WATER_BYTES,
      // Sent in the next iteration of the event loop. What arrives meanwhile is sent together: the
      // library makes a packet of each piece, and a small packet costs as much as a full one.
      write: (chunk: Buffer, _encoding, done) => setImmediate(send, chunk, done),
      writev: (items, done) => send(Buffer.concat(items.map(({ chunk }): Buffer => chunk)), done),
    }).on('error', () => {}); // writes report errors to the writer
  }

  async #send(target: Writable, data: Buffer): Promise<void> {
    // The check and the write happen in the same tick, so that two channels do not both use the
    // last space.
    for (let ready = this.#sender.ready(); ready !== undefined; ready = this.#sender.ready()) await ready;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#sender.batchWrites(() => target.write(data, (error) => (error ? reject(error) : resolve())));
    await promise;
    if (target === this.#channel) this.onOutput?.(data);
    forgetWritten(this.#channel);
    this.#sender.refreshIdleTimer();
    noteBulkBytes(data.length);
  }
}
