import { dateOfSeconds } from '#base/date-of-seconds';
import { type ErrorDetail, GitalyError } from '#base/gitaly-error';
import { lineBatches } from '#base/streams/line-batches';
import { type RawBlameError, RawBlameErrorSchema, type RawBlameResponse } from '#wire/gen/commit_pb';

/** A line of a file with the commit that last changed it. */
export interface BlameLine {
  readonly commit: string;
  readonly author: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly subject: string;
  readonly number: number;
  readonly text: Buffer;
}

type CommitFacts = Pick<BlameLine, 'author' | 'timeMs' | 'subject'>;

const HEADER = /^([0-9a-f]{40}|[0-9a-f]{64}) \d+ (\d+)(?: \d+)?$/;
const TAB = 0x09;
/** A longer line in git's output ends the list. */
const MAX_LINE_BYTES = 1 << 18;

/**
 * Parses the output of RawBlame (`git blame --porcelain`), up to a number of bytes. The facts of a
 * commit come with its first line.
 *
 * @see git-blame(1), 'THE PORCELAIN FORMAT'
 * @throws {GitalyError} RESOURCE_EXHAUSTED for a line above 256 KiB.
 */
export async function* blameLines(
  responses: AsyncIterable<RawBlameResponse>,
  maxBytes: number,
): AsyncGenerator<BlameLine, void, undefined> {
  const commits = new Map<string, CommitFacts>();
  let facts: { author: string; timeMs: number; subject: string } = { author: '', timeMs: 0, subject: '' };
  let [commit, number, bytes] = ['', 0, 0];
  for await (const lines of lineBatches(dataOf(responses), { maxLineBytes: MAX_LINE_BYTES })) {
    for (const line of lines) {
      bytes += line.length;
      if (bytes > maxBytes) return;
      if (line[0] === TAB) {
        yield { commit, number, text: line.subarray(1), ...facts };
        continue;
      }
      const text = line.toString();
      const header = HEADER.exec(text);
      if (header === null) {
        addFact(facts, text);
        continue;
      }
      [commit, number] = [header[1] ?? '', Number(header[2])];
      facts = { author: '', timeMs: 0, subject: '', ...commits.get(commit) };
      if (!commits.has(commit)) commits.set(commit, facts);
    }
  }
}

function addFact(facts: { author: string; timeMs: number; subject: string }, line: string): void {
  const space = line.indexOf(' ');
  const value = line.slice(space + 1);
  switch (line.slice(0, space)) {
    case 'author':
      facts.author = value;
      return;
    case 'author-time':
      facts.timeMs = dateOfSeconds(Number(value)).getTime();
      return;
    case 'summary':
      facts.subject = value;
  }
}

/** Yields nothing for a file without lines, in which git finds no range. */
async function* dataOf(responses: AsyncIterable<{ readonly data: Uint8Array }>): AsyncGenerator<Uint8Array> {
  try {
    for await (const { data } of responses) yield data;
  } catch (error) {
    if (!(error instanceof GitalyError) || !error.details.some(isOfEmptyFile)) throw error;
  }
}

function isOfEmptyFile(detail: ErrorDetail): boolean {
  if (detail.$typeName !== RawBlameErrorSchema.typeName) return false;
  // The type name identifies the message.
  const { error } = detail as RawBlameError;
  return error.case === 'outOfRange' && error.value.actualLines === 0n;
}
