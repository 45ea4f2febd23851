import { LsRefsParser, type LsRefsRequest } from './ls-refs-request.ts';

/** The beginning of what a client sends. */
export interface TakenInput {
  /** The client's whole request, when it is an `ls-refs` that can be understood. */
  readonly request: LsRefsRequest | undefined;
  /** What was read for it. */
  readonly bytes: Buffer;
  /** The client had ended before it said anything. */
  readonly isEnd: boolean;
  /** All that the client sends, what was read included: for git. */
  readonly input: AsyncIterable<Uint8Array>;
}

/** Reads from a client until it is clear whether it asks for `ls-refs`: not more than one such request, and of others the first packet. */
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
    input: replay(bytes, source, failure),
  };
}

/** What was read already, and the rest, or the failure that came behind it. An iterator that has ended may be asked again. */
async function* replay(
  bytes: Buffer,
  source: AsyncIterator<Uint8Array>,
  failure: { readonly error: unknown } | undefined,
): AsyncGenerator<Uint8Array> {
  yield bytes;
  if (failure !== undefined) throw failure.error;
  yield* { [Symbol.asyncIterator]: () => source };
}
