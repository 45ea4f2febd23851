import { flag, type GitOption, joined } from '../command/git-command.ts';
import { parseTrailers, type Trailer } from '../objects/parse/parse-trailers.ts';
import type { GitRepository } from '../repository.ts';
import { type LogQuery, logLines } from './log.ts';

/** Requested data of a commit in addition to its id. */
export interface EntryExtras {
  readonly trailers?: boolean;
  readonly shortStats?: boolean;
  /** Patterns of references; matching references to a commit are listed. */
  readonly referencedBy?: readonly Uint8Array[];
}

export interface ShortStats {
  readonly changedFiles: number;
  readonly additions: number;
  readonly deletions: number;
}

/** One commit of a log. Data that was not requested, or that git does not print, is not set. */
export interface LogEntry {
  readonly oid: string;
  readonly trailers?: Trailer[];
  readonly shortStats?: ShortStats;
  /** Full names of references, and `HEAD`. */
  readonly referencedBy?: Buffer[];
}

/** First byte of a commit's line; no other line of git's output begins with it. */
const COMMIT = 0x01;
/** Separator before the references; ids do not contain it. */
const REFERENCES = 0x02;
/** Separator before the trailers; reference names cannot contain it. */
const TRAILERS = 0x03;

/** Limit of a line: trailers are as long as messages. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/**
 * Runs `git log` and yields the requested data of each commit, in git's order, in batches.
 *
 * @throws {GitExitError} when git fails, after the earlier output was yielded.
 */
export async function* logEntries(
  repository: GitRepository,
  query: LogQuery,
  { signal, ...extras }: EntryExtras & { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<LogEntry[], void, undefined> {
  const options = [...formatOptions(extras), ...query.options];
  const lines = logLines(repository, { ...query, options }, { signal, maxLineBytes: MAX_LINE_BYTES });
  yield* parseEntries(lines, extras.shortStats === true);
}

function formatOptions({ trailers, shortStats, referencedBy = [] }: EntryExtras): GitOption[] {
  const refs = referencedBy.length > 0 ? '%x02%D' : '';
  const options = [
    flag(`--format=%x01%H${refs}${trailers === true ? '%x03%(trailers:unfold,separator=%x00)' : ''}`),
  ];
  if (shortStats === true) options.push(flag('--shortstat'));
  if (referencedBy.length > 0) options.push(flag('--decorate=full'));
  for (const pattern of referencedBy) options.push(joined('--decorate-refs', pattern));
  return options;
}

/**
 * Parses the lines of such a log: `\x01<oid>[\x02<references>][\x03<trailers>]`, possibly followed
 * by ` 1 file changed, 2 insertions(+), 3 deletions(-)`. Skips other lines.
 *
 * @param hasStats true if statistics may follow a commit, so that it is complete only when the next
 *   one begins.
 */
export async function* parseEntries(
  batches: AsyncIterable<readonly Buffer[]> | Iterable<readonly Buffer[]>,
  hasStats: boolean,
): AsyncGenerator<LogEntry[], void, undefined> {
  let held: LogEntry | undefined;
  for await (const lines of batches) {
    const entries: LogEntry[] = [];
    for (const line of lines) {
      if (line[0] === COMMIT) {
        if (held !== undefined) entries.push(held);
        held = parseEntry(line);
      } else if (held !== undefined && hasStats) {
        const shortStats = parseShortStats(line);
        if (shortStats !== undefined) held = { ...held, shortStats };
      }
    }
    if (held !== undefined && !hasStats) {
      entries.push(held);
      held = undefined;
    }
    if (entries.length > 0) yield entries;
  }
  if (held !== undefined) yield [held];
}

function parseEntry(line: Buffer): LogEntry {
  const trailers = line.indexOf(TRAILERS);
  const head = trailers === -1 ? line : line.subarray(0, trailers);
  const references = head.indexOf(REFERENCES);
  return {
    oid: head.toString('latin1', 1, references === -1 ? head.length : references),
    ...(references !== -1 && { referencedBy: parseReferences(head.subarray(references + 1)) }),
    ...(trailers !== -1 && { trailers: parseTrailers(line.subarray(trailers + 1)) }),
  };
}

/** Parses `HEAD -> refs/heads/main, tag: refs/tags/v1, refs/heads/x`. */
function parseReferences(decoration: Buffer): Buffer[] {
  if (decoration.length === 0) return [];
  // One character per byte and back: names are bytes.
  return decoration
    .toString('latin1')
    .split(/, | -> /)
    .map((name) => Buffer.from(name.replace(/^tag: /, ''), 'latin1'));
}

const SHORT_STATS = /^ (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?$/;

function parseShortStats(line: Buffer): ShortStats | undefined {
  const match = SHORT_STATS.exec(line.toString('latin1'));
  if (match === null) return undefined;
  return {
    changedFiles: Number(match[1]),
    additions: Number(match[2] ?? 0),
    deletions: Number(match[3] ?? 0),
  };
}
