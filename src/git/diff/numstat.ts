import { quote } from '#base/quote';
import { DiffFormatError } from './diff-format-error.ts';
import { nulRecords } from './nul-records.ts';

/** How much a file changed. */
export interface FileStat {
  readonly path: Buffer;
  /** Only of a rename or copy. */
  readonly oldPath: Buffer | undefined;
  /** Lines; 0 for binary files. */
  readonly additions: number;
  readonly deletions: number;
}

const COUNTS = /^(\d+|-)\t(\d+|-)\t/;

/**
 * Reads the output of `diff --numstat -z`: `<added>\t<deleted>\t<path>\0`, or with an empty path and `<old path>\0<path>\0` behind it, in batches. A
 * record that is cut off at the end is dropped, see {@link nulRecords}.
 *
 * @throws {DiffFormatError} on a record of another form.
 */
export async function* parseNumstat(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<FileStat[]> {
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
  // Two numbers of ten digits at most stand before the path.
  const match = COUNTS.exec(record.toString('latin1', 0, 24));
  if (match === null) throw new DiffFormatError(`error parsing ${quote(record)}`);
  const [head, added = '', deleted = ''] = match;
  return { path: record.subarray(head.length), additions: countOf(added), deletions: countOf(deleted) };
}

function countOf(text: string): number {
  return text === '-' ? 0 : Number(text);
}
