import { GitalyError } from '#base/gitaly-error';

/** A stream of requests: the first message describes the call, the others carry bytes. */
export interface OpenedRequests<T> {
  readonly first: T;
  /** The messages after the first. */
  readonly rest: AsyncIterable<T>;
}

/**
 * Waits for the first message of a request stream.
 *
 * @throws {GitalyError} INTERNAL with the text `missing` if the client sent none.
 */
export async function openRequests<T>(
  requests: AsyncIterable<T>,
  missing = 'EOF',
): Promise<OpenedRequests<T>> {
  const iterator = requests[Symbol.asyncIterator]();
  const result = await iterator.next();
  if (result.done === true) throw new GitalyError('INTERNAL', missing);
  return { first: result.value, rest: { [Symbol.asyncIterator]: () => iterator } };
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
  { first, rest }: OpenedRequests<T>,
  bytes: (message: T) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  yield bytes(first);
  yield* bytesOf(rest, bytes);
}
