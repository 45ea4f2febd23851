import { type ShareableRequest, shareableRequest } from './shareable-request.ts';

/** Beginning of a client's data. */
export interface TakenFetch {
  /** The client's complete request, if its answer may be shared. */
  readonly request: ShareableRequest | undefined;
  /** All data of the client, including the bytes already read, as input for git. */
  readonly input: AsyncGenerator<Uint8Array>;
}

/**
 * Reads from a client until its request is complete, or cannot be shared.
 *
 * @param bytes already read.
 */
export async function takeFetch(bytes: Buffer, source: AsyncIterator<Uint8Array>): Promise<TakenFetch> {
  let taken = bytes;
  let request = shareableRequest(taken);
  let failure: { readonly error: unknown } | undefined;
  try {
    while (request === 'incomplete') {
      const next = await source.next();
      if (next.done === true) break;
      taken = Buffer.concat([taken, next.value]);
      request = shareableRequest(taken);
    }
  } catch (error) {
    failure = { error };
  }
  const input = replay(taken, source, failure);
  return { request: request === 'incomplete' ? undefined : request, input };
}

/** Yields the bytes already read, and then the rest or the failure behind them. */
export async function* replay(
  bytes: Buffer,
  source: AsyncIterator<Uint8Array>,
  failure: { readonly error: unknown } | undefined,
): AsyncGenerator<Uint8Array> {
  yield bytes;
  if (failure !== undefined) throw failure.error;
  yield* { [Symbol.asyncIterator]: () => source };
}
