/** A stream of requests: the first message describes the call, the others carry bytes. */
export interface OpenedRequests<T> {
  /** `undefined` when the client ended its half without a message. */
  readonly first: T | undefined;
  /** The messages after the first. */
  readonly rest: AsyncIterable<T>;
}

/** Waits for the first message of a request stream. */
export async function openRequests<T>(requests: AsyncIterable<T>): Promise<OpenedRequests<T>> {
  const iterator = requests[Symbol.asyncIterator]();
  const result = await iterator.next();
  return {
    first: result.done === true ? undefined : result.value,
    rest: { [Symbol.asyncIterator]: () => iterator },
  };
}

/** Yields the bytes in messages. */
export async function* bytesOf<T>(
  messages: AsyncIterable<T>,
  bytes: (message: T) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  for await (const message of messages) yield bytes(message);
}

/** Yields the bytes of all messages, including the first. */
export async function* allBytesOf<T>(
  { first, rest }: OpenedRequests<T> & { readonly first: T },
  bytes: (message: T) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield bytes(first);
  yield* bytesOf(rest, bytes);
}
