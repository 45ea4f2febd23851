import { invalidArgument } from '#base/gitaly-error';

interface Query {
  readonly query: string;
  readonly ref: Uint8Array;
}

const DASH = 0x2d;

/** Checks a search. @throws {GitalyError} INVALID_ARGUMENT. */
export function requireQuery({ query, ref }: Query): { readonly query: string; readonly ref: Buffer } {
  if (query === '') throw invalidArgument('no query given');
  if (ref.length === 0) throw invalidArgument('no ref given');
  if (ref[0] === DASH) throw invalidArgument('invalid ref argument');
  return { query, ref: Buffer.from(ref) };
}
