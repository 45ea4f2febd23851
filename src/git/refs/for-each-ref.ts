import type { Readable } from 'node:stream';
import { flag, type GitCommand, type GitOption, gitCommand, joined, value } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';

/** Which references, in which order. */
export interface RefQuery {
  /** As `git for-each-ref` takes them (see {@link matchAsPath}). */
  readonly patterns: readonly Arg[];
  /** References that match one of these are left out. */
  readonly exclude?: readonly Uint8Array[];
  /** A key of `for-each-ref --sort`, `-` before it for the opposite order; equal ones are in the order of names. Default `refname`. */
  readonly sort?: string;
  readonly ignoreCase?: boolean;
  /** Only references that are, or peel to, one of these objects: any revision. */
  readonly pointsAt?: readonly Arg[];
  /** Only references from which this commit is reached. */
  readonly contains?: string;
  /** Only references that are reached from this commit. */
  readonly merged?: Arg;
  /** At most so many. */
  readonly limit?: number;
}

/** The command that prints one record for every reference of a query. @throws {GitalyError} for words that git must not see. */
export function forEachRef(query: RefQuery, format: string, options: { knowsExclude: boolean }): GitCommand {
  const words: GitOption[] = [flag(`--format=${format}`)];
  if (query.sort !== undefined) words.push(joined('--sort', query.sort));
  if (query.ignoreCase === true) words.push(flag('--ignore-case'));
  for (const revision of query.pointsAt ?? []) words.push(value('--points-at', revision));
  if (query.contains !== undefined) words.push(joined('--contains', query.contains));
  if (query.merged !== undefined) words.push(joined('--merged', query.merged));
  if (query.limit !== undefined) words.push(value('--count', query.limit));
  if (options.knowsExclude) for (const pattern of query.exclude ?? []) words.push(joined('--exclude', pattern));
  return gitCommand('for-each-ref', { options: words, args: query.patterns });
}

export interface RecordOptions {
  readonly repository: GitRepository;
  readonly signal?: AbortSignal | undefined;
  /** Ends a record; it is not part of it. */
  readonly delimiter: number;
}

/** More than this in one record is no list of references; the largest ones hold a commit's whole message. */
const MAX_RECORD_BYTES = 256 * 1024 * 1024;

/**
 * Runs a command and yields what it prints, cut into records, as many at once as have arrived. A record is a view on memory that
 * nothing else writes to. At most one unfinished record is held. Leaving early ends the process, without an error.
 *
 * @throws {GitExitError} when the command fails; records that came before have been yielded.
 */
export async function* readRecords(git: Git, command: GitCommand, options: RecordOptions): AsyncGenerator<Buffer[], void> {
  const { repository, signal, delimiter } = options;
  await git.spawnTurn(signal);
  await using run = git.spawn(command, { repository, signal, stdin: 'ignore' });
  try {
    yield* splitRecords(run.stdout, delimiter);
  } catch (error) {
    // An abort closes the stream under the reader; how the process ended says it better.
    if (!run.isEnding) throw error;
  }
  await run.succeeded();
}

/**
 * Cuts a stream into records that a delimiter ends; what follows the last delimiter is dropped.
 *
 * @throws {Error} when a record is longer than {@link MAX_RECORD_BYTES}.
 */
export async function* splitRecords(input: Readable | AsyncIterable<Buffer>, delimiter: number): AsyncGenerator<Buffer[], void> {
  let pieces: Buffer[] = [];
  let pieceBytes = 0;
  for await (const each of input) {
    // A socket without an encoding yields Buffers.
    const chunk = each as Buffer;
    const records: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(delimiter); end !== -1; end = chunk.indexOf(delimiter, start)) {
      const piece = chunk.subarray(start, end);
      records.push(pieces.length === 0 ? piece : Buffer.concat([...pieces, piece]));
      pieces = [];
      pieceBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      pieces.push(chunk.subarray(start));
      pieceBytes += chunk.length - start;
      if (pieceBytes > MAX_RECORD_BYTES) throw new Error('a record of git for-each-ref is too long');
    }
    if (records.length > 0) yield records;
  }
}
