import { quote } from '#base/go/quote';
import { DiffFormatError } from './diff-format-error.ts';
import { nulRecords } from './nul-records.ts';

/** Numbers of changed lines of a file. */
export interface FileStat {
  readonly path: Buffer;
  /** Old path of a rename or copy. */
  readonly oldPath: Buffer | undefined;
  /** Number of added lines; 0 for binary files. */
  readonly additions: number;
  readonly deletions: number;
}

const COUNTS = /^(\d+|-)\t(\d+|-)\t/;

/**
 * Parses the output of `diff --numstat -z`: `<added>\t<deleted>\t<path>\0`, or with an empty path
 * followed by `<old path>\0<path>\0`, in batches. A truncated record at the end is dropped, see
 * {@link nulRecords}.
 *
 * @throws {DiffFormatError} on a malformed record.
 */
export async function* parseNumstat(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<FileStat[]> {
  let renamed: Pick<FileStat, 'additions' | 'deletions'> | undefined;
  let oldPath: Buffer | undefined;
  for await (const records of nulRecords(chunks)) {
    const stats: FileStat[] = [];
    for (const record of records) {
      if (renamed === undefined) {
        const { path, ...counts } = parseCounts(record);
        if (path.length === 0) renamed = counts;
        else stats.push({ ...counts, path, oldPath });
      } else if (oldPath === undefined) {
        oldPath = record;
      } else {
        stats.push({ ...renamed, path: record, oldPath });
        renamed = undefined;
        oldPath = undefined;
      }
    }
    if (stats.length > 0) yield stats;
  }
}

function parseCounts(record: Buffer): { path: Buffer; additions: number; deletions: number } {
  // Two numbers of at most ten digits precede the path.
  const match = COUNTS.exec(record.toString('latin1', 0, 24));
  if (match === null) throw new DiffFormatError(`error parsing ${quote(record)}`);
  const [head, added = '', deleted = ''] = match;
  return { path: record.subarray(head.length), additions: countOf(added), deletions: countOf(deleted) };
}

function countOf(text: string): number {
  return text === '-' ? 0 : Number(text);
}
