import { LsRefsParser, type LsRefsRequest } from './ls-refs-request.ts';
import { replay } from './take-fetch.ts';

/** Beginning of a client's data. */
export interface TakenInput {
  /** The client's complete request, when it is a valid `ls-refs`. */
  readonly request: LsRefsRequest | undefined;
  /** Bytes that were read for it. */
  readonly bytes: Buffer;
  /** True if the client ended before it sent anything. */
  readonly isEnd: boolean;
  /** The client's data ended with an error, which `input` throws. */
  readonly hasFailed: boolean;
  /** All data of the client, including the bytes already read, as input for git. */
  readonly input: AsyncIterable<Uint8Array>;
}

/**
 * Reads from a client until it is clear whether it requests `ls-refs`. It reads at most one such
 * request, and only the first packet of others.
 */
export async function takeLsRefs(source: AsyncIterator<Uint8Array>): Promise<TakenInput> {
  const parser = new LsRefsParser();
  let request: ReturnType<LsRefsParser['push']> = 'more';
  let failure: { readonly error: unknown } | undefined;
  try {
    while (request === 'more') {
      const next = await source.next();
      if (next.done === true) break;
      request = parser.push(next.value);
    }
  } catch (error) {
    failure = { error };
  }
  const { bytes } = parser;
  return {
    request: typeof request === 'string' ? undefined : request,
    bytes,
    isEnd: bytes.length === 0 && failure === undefined,
    hasFailed: failure !== undefined,
    input: replay(bytes, source, failure),
  };
}
