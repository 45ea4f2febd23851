import { FLUSH_PACKET } from '#base/pkt-line/packet';
import { type FetchCommand, RequestParser } from './request-parser.ts';

export interface ClientRequest {
  /** `undefined` for a request that only git understands. */
  readonly command: FetchCommand | undefined;
  /** Bytes that were read for it. */
  readonly bytes: Buffer;
  /** True if the client wants nothing more: it sent a flush packet, or nothing. */
  readonly isEnd: boolean;
}

/** A client's data: requests one after another, or everything that follows. */
export class ClientInput {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #observe: (chunk: Uint8Array) => void;
  /** Read, and perhaps not answered. */
  #bytes: Buffer = Buffer.alloc(0);
  #failure: { readonly error: unknown } | undefined;

  /** @param observe receives a copy of all data that are read. */
  constructor(input: AsyncIterable<Uint8Array>, observe: (chunk: Uint8Array) => void) {
    this.#source = input[Symbol.asyncIterator]();
    this.#observe = observe;
  }

  /**
   * Reads one request, or another one until it is clear that only git understands it. Never
   * rejects: {@link rest} throws the error of a client that fails.
   */
  async next(): Promise<ClientRequest> {
    const parser = new RequestParser();
    let command: ReturnType<RequestParser['push']> = 'more';
    try {
      while (command === 'more') {
        const { done, value } = await this.#source.next();
        if (done === true) break;
        this.#observe(value);
        command = parser.push(value);
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#bytes = parser.bytes;
    const isEmpty = this.#bytes.length === 0 && this.#failure === undefined;
    return {
      command: typeof command === 'string' ? undefined : command,
      bytes: this.#bytes,
      isEnd: isEmpty || this.#bytes.equals(FLUSH_PACKET),
    };
  }

  /** Yields the last request and everything behind it. @throws the error of a client that fails. */
  async *rest(): AsyncGenerator<Uint8Array> {
    if (this.#bytes.length > 0) yield this.#bytes;
    if (this.#failure !== undefined) throw this.#failure.error;
    for await (const chunk of { [Symbol.asyncIterator]: () => this.#source }) {
      this.#observe(chunk);
      yield chunk;
    }
  }
}
