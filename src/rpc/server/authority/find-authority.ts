import { BlockReader, type HeaderLiteral, HUFFMAN_FLAG, literalText } from '#rpc/common/http2/block-reader';
import { ConnectionError } from '#rpc/common/http2/connection-error';

/** A header with its index in the static table of HPACK. */
interface IndexedName {
  readonly index: number;
  readonly name: string;
}

const AUTHORITY: IndexedName = { index: 1, name: ':authority' };
const AUTHORIZATION: IndexedName = { index: 23, name: 'authorization' };

/**
 * Finds `:authority` in the first frame of a block of headers (RFC 7541), if the block has it as a
 * literal: a peer may refer to an earlier block instead. No table is needed: what is indexed is
 * skipped.
 *
 * @returns undefined also for a block that breaks off or makes no sense.
 */
export function findAuthority(block: Buffer): HeaderLiteral | undefined {
  return unlessMalformed(() => findLiteral(block, AUTHORITY));
}

/** Returns the `authorization` of a connection's first request, if its first frame has it. */
export function readAuthorization(block: Buffer): string | undefined {
  return unlessMalformed(() => {
    const literal = findLiteral(block, AUTHORIZATION);
    return literal && literalText(block, literal);
  });
}

function findLiteral(block: Buffer, wanted: IndexedName): HeaderLiteral | undefined {
  const reader = new BlockReader(block);
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if (first >= 0x80) {
      reader.number(7); // an indexed header
      continue;
    }
    if (first >= 0x20 && first < 0x40) {
      reader.number(5); // a change of the table's size
      continue;
    }
    const index = reader.number(first >= 0x40 ? 6 : 4);
    const isWanted = index === wanted.index || (index === 0 && reader.string() === wanted.name);
    const value = reader.literal();
    if (isWanted) return value;
  }
  return undefined;
}

/** The parser that reads the block later refuses malformed ones. */
function unlessMalformed<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ConnectionError) return undefined;
    throw error;
  }
}

/**
 * The treatment of an authority by `node:http2`, or the need to replace it. nghttp2 resets requests
 * whose authority has other characters than RFC 3986 allows there; grpc-go and Gitaly accept any
 * without control characters.
 */
export type AuthorityKind = 'accepted' | 'to-replace' | 'refused';

/** Characters in authorities that nghttp2 accepts: those of a host, a port and percent-encoding. */
const ACCEPTED = /^[a-zA-Z0-9!$%&'()*+,\-.:;=[\]_~]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are meant; a tab is none of them
const REFUSED = /[\0-\x08\x0a-\x1f\x7f]/;

/** Returns the kind of an authority. An empty one has no byte that could be replaced. */
export function kindOfAuthority(block: Buffer, literal: HeaderLiteral): AuthorityKind {
  const authority = unlessMalformed(() => literalText(block, literal));
  if (authority === undefined || REFUSED.test(authority)) return 'refused';
  return ACCEPTED.test(authority) ? 'accepted' : 'to-replace';
}

const FILLER = 'x'.charCodeAt(0);

/**
 * Replaces the authority by a host name that takes as many bytes, in place. The string is no longer
 * in Huffman's code, so it has at most as many characters as before: the table of the reader, whose
 * entries count by their characters, keeps everything that the peer may refer to.
 */
export function replaceAuthority(block: Buffer, { start, valueStart, valueEnd }: HeaderLiteral): void {
  block[start] = (block[start] ?? 0) & ~HUFFMAN_FLAG;
  block.fill(FILLER, valueStart, valueEnd);
}
