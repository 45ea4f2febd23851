import { GitalyError } from '#base/gitaly-error';

interface Query {
  readonly query: string;
  readonly ref: Uint8Array;
}

const DASH = 0x2d;

/** Checks a search. @throws {GitalyError} INVALID_ARGUMENT. */
export function requireQuery({ query, ref }: Query): { readonly query: string; readonly ref: Buffer } {
  if (query === '') throw new GitalyError('INVALID_ARGUMENT', 'no query given');
  if (ref.length === 0) throw new GitalyError('INVALID_ARGUMENT', 'no ref given');
  if (ref[0] === DASH) throw new GitalyError('INVALID_ARGUMENT', 'invalid ref argument');
  return { query, ref: Buffer.from(ref) };
}
