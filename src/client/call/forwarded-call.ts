import type { Metadata } from '#rpc/common/metadata';
import type { ResponseStream } from './call-types.ts';

/**
 * A call that forwards to another one; subclasses replace parts. They are classes because an object
 * with its own functions takes 1.5 KB for each call.
 */
export abstract class ForwardedCall<O> implements ResponseStream<O> {
  protected readonly call: ResponseStream<O>;

  constructor(call: ResponseStream<O>) {
    this.call = call;
  }

  abstract [Symbol.asyncIterator](): AsyncIterator<O, void>;

  get headers(): Promise<Metadata> {
    return this.call.headers;
  }

  get trailers(): Promise<Metadata> {
    return this.call.trailers;
  }

  cancel(reason?: unknown): void {
    this.call.cancel(reason);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.call[Symbol.asyncDispose]() as Promise<void>;
  }
}
