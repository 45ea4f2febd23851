import { duplexPair } from 'node:stream';
import type { Transport } from '#client/connect/transport';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';

/** A transport of a client without a connection, which the test breaks, and whose calls it sets. */
export class TestTransport implements Transport {
  readonly channel = connectGrpc(duplexPair()[0]);
  readonly #closed = Promise.withResolvers<void>();
  readonly closed = this.#closed.promise;
  /** Ends of it, in their order: `drained`, or the error with which it was destroyed. */
  readonly ends: unknown[] = [];
  isOpen = true;
  calls: number;

  constructor(calls = 0) {
    this.calls = calls;
  }
  hold(): void {}
  release(): void {}
  drain(): void {
    this.isOpen = false;
    this.ends.push('drained');
    if (this.calls === 0) void this.destroy();
  }
  async destroy(error?: Error): Promise<void> {
    this.isOpen = false;
    this.ends.push(error);
    this.channel.destroy();
    this.#closed.resolve();
  }
}
