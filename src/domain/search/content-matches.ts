import { flag, gitCommand, value } from '#git/command/git-command';
import { outputBytes } from '#git/command/output';
import { ignoringGitFailure } from '#git/command/until-git-fails';
import type { Repository } from '#storage/repository';

/** A part of a match, or its end. */
export type MatchPart = Buffer | typeof MATCH_END;

export const MATCH_END = Symbol('end of match');

export interface ContentQuery {
  /** A regular expression of PCRE. */
  readonly query: string;
  /** Any revision; it does not start with a dash. */
  readonly ref: Buffer;
}

export interface ContentOptions {
  /** Size of the parts of a long match, in bytes. */
  readonly partBytes: number;
  readonly signal: AbortSignal;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/** Lines before and after a match. */
const CONTEXT_LINES = 2;

/**
 * Searches the text files of a revision with `git grep`, without regard to case. A match is a group
 * of lines `<ref>:<path>\0<number>\0<text>\n` with its context; it comes in parts, followed by its
 * end. Yields as many parts at once as git's output has. A failure of git, such as an invalid
 * expression, gives no matches.
 */
export function contentMatches(
  repository: Repository,
  { query, ref }: ContentQuery,
  { partBytes, signal, log }: ContentOptions,
): AsyncGenerator<MatchPart[]> {
  const command = gitCommand('grep', {
    options: [
      flag('--ignore-case'),
      flag('-I'),
      flag('--line-number'),
      flag('--null'),
      value('--before-context', CONTEXT_LINES),
      value('--after-context', CONTEXT_LINES),
      flag('--perl-regexp'),
      value('-e', query),
    ],
    args: [ref],
  });
  return splitMatches(ignoringGitFailure(outputBytes(repository, command, { signal }), log), partBytes);
}

const LF = 0x0a;
/** The line between two matches, after the line feed of the last line. */
const SEPARATOR = Buffer.from('\n--\n');

/**
 * Splits the output of `git grep` into matches, in parts of at most `partBytes`. Yields the parts
 * of one chunk together. Holds at most one part and one chunk.
 */
export async function* splitMatches(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  partBytes: number,
): AsyncGenerator<MatchPart[]> {
  const held = new HeldPart(partBytes);
  let carried: Buffer = Buffer.alloc(0);
  let isOpen = false;
  for await (const piece of chunks) {
    const chunk = carried.length === 0 ? piece : Buffer.concat([carried, piece]);
    const parts: MatchPart[] = [];
    let start = 0;
    for (let end = chunk.indexOf(SEPARATOR); end !== -1; end = chunk.indexOf(SEPARATOR, start)) {
      held.add(chunk.subarray(start, end + 1), parts);
      held.end(parts);
      isOpen = false;
      start = end + SEPARATOR.length;
    }
    const certain = Math.max(start, endOfCertain(chunk));
    if (certain > start) isOpen = true;
    held.add(chunk.subarray(start, certain), parts);
    carried = chunk.subarray(certain);
    if (parts.length > 0) yield parts;
  }
  if (!isOpen && carried.length === 0) return;
  const last: MatchPart[] = [];
  held.add(carried, last);
  held.end(last);
  yield last;
}

/** Returns the position after which a chunk may contain the beginning of a separator. */
function endOfCertain(chunk: Buffer): number {
  const last = chunk.lastIndexOf(LF);
  if (last === -1 || chunk.length - last >= SEPARATOR.length) return chunk.length;
  return SEPARATOR.subarray(0, chunk.length - last).equals(chunk.subarray(last)) ? last : chunk.length;
}

/** Bytes of a match that do not fill a part yet. */
class HeldPart {
  readonly #partBytes: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(partBytes: number) {
    this.#partBytes = partBytes;
  }

  /** Adds bytes of the match. Full parts go to `parts`. */
  add(bytes: Buffer, parts: MatchPart[]): void {
    let left = bytes;
    while (this.#bytes + left.length > this.#partBytes) {
      const fitting = this.#partBytes - this.#bytes;
      this.#hold(left.subarray(0, fitting));
      left = left.subarray(fitting);
      this.#take(parts);
    }
    this.#hold(left);
  }

  /** Ends the match: buffered text, if any, and the end are added to `parts`. */
  end(parts: MatchPart[]): void {
    this.#take(parts);
    parts.push(MATCH_END);
  }

  #take(parts: MatchPart[]): void {
    const [first] = this.#pieces;
    if (first !== undefined) parts.push(this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces));
    this.#pieces = [];
    this.#bytes = 0;
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#bytes += bytes.length;
  }
}
