import { once } from 'node:events';
import { Writable } from 'node:stream';
import { noteBulkBytes } from '#base/bulk-memory';
import { forgetWritten, type SshChannel } from './ssh-library.ts';

/** How the connection is doing that a channel sends through. */
export interface Sender {
  /** Resolves when the connection takes more; rejects when it is gone. */
  ready(): Promise<void> | undefined;
  /** Runs a function that sends; what it sends leaves in one piece. */
  together(send: () => void): void;
  /** A byte of a command has moved. */
  noteMovement(): void;
}

/** Bytes of either output that may wait here; the client's window and the socket have their own. */
const HIGH_WATER_BYTES = 128 * 1024;

/**
 * The two outputs of a command on their way to the client. They go one write after another: the library keeps what waits for the
 * client's window in one place for both. Slow clients slow the writer: a write is done when the window has taken all of it, and the
 * next one begins when the socket has.
 */
export class ChannelOutput {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly #channel: SshChannel;
  readonly #sender: Sender;
  #last: Promise<void> = Promise.resolve();

  constructor(channel: SshChannel, sender: Sender) {
    this.#channel = channel;
    this.#sender = sender;
    this.stdout = this.#outputTo(channel);
    this.stderr = this.#outputTo(channel.stderr);
  }

  /** Sends what is left and tells the client how the command ended. */
  async finish(exitCode: number): Promise<void> {
    for (const stream of [this.stdout, this.stderr]) {
      stream.end();
      if (!stream.writableFinished) await once(stream, 'finish');
    }
    this.#channel.exit(exitCode);
    this.#channel.end();
    this.#channel.resume(); // what the client still sends belongs to nobody, but the channel ends behind it
  }

  /** The client is gone: whoever waits for one of the outputs is told. */
  destroy(reason: Error): void {
    this.stdout.destroy(reason);
    this.stderr.destroy(reason);
  }

  #outputTo(target: Writable): Writable {
    const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void) => {
      this.#last = this.#last.then(() => this.#send(target, chunk));
      this.#last.then(() => done(), done);
    };
    return new Writable({ highWaterMark: HIGH_WATER_BYTES, write }).on('error', () => {}); // writers are told by their writes
  }

  async #send(target: Writable, chunk: Buffer): Promise<void> {
    // What is asked last is asked in the same breath as the writing, so that two channels do not both take the last room.
    for (let ready = this.#sender.ready(); ready !== undefined; ready = this.#sender.ready()) await ready;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#sender.together(() => target.write(chunk, (error) => (error ? reject(error) : resolve())));
    await promise;
    forgetWritten(this.#channel);
    this.#sender.noteMovement();
    noteBulkBytes(chunk.length);
  }
}
