import { quote } from '#base/go/quote';
import { isOid } from '#git/names/object-id';
import { DiffFormatError } from './diff-format-error.ts';
import { nulRecords } from './nul-records.ts';
import type { ChangeStatus } from './raw-line.ts';

/** One source of a file's comparison: a tree, or one of the parents of a merge. */
export interface RawSource {
  readonly status: ChangeStatus;
  /** 0 if the file does not exist. */
  readonly mode: number;
  /** Zeros if the file does not exist. */
  readonly oid: string;
}

/** One record of `diff --raw -z`: a file, compared with one or (`-c`) several sources. */
export interface RawRecord {
  /** The last named commit; `undefined` before the first. */
  readonly commitOid: string | undefined;
  readonly sources: readonly [RawSource, ...RawSource[]];
  readonly newMode: number;
  readonly newOid: string;
  readonly path: Buffer;
  /** Old path of a rename or copy with one source; git does not print it for several. */
  readonly oldPath: Buffer | undefined;
}

type Header = Pick<RawRecord, 'sources' | 'newMode' | 'newOid'>;

const COLON = 0x3a;
const STATUSES = /^[ADMTRCUX]+$/;

/**
 * Parses the output of `diff --raw -z` and `diff-tree --stdin -z`, including merges: `<commit>\0`
 * and `:<modes> <oids> <status>\0<path>\0[<path>\0]`, in batches. Skips other text before a colon:
 * git names two trees on a line that ends with LF. A truncated record at the end is dropped, see
 * {@link nulRecords}.
 *
 * @throws {DiffFormatError} on a malformed record.
 */
export async function* parseRawRecords(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<RawRecord[]> {
  let commitOid: string | undefined;
  let header: Header | undefined;
  let oldPath: Buffer | undefined;
  for await (const records of nulRecords(chunks)) {
    const parsed: RawRecord[] = [];
    for (const record of records) {
      if (header === undefined) {
        const colon = record.indexOf(COLON);
        commitOid = commitOf(colon === -1 ? record : record.subarray(0, colon)) ?? commitOid;
        if (colon !== -1) header = parseHeader(record.subarray(colon));
      } else if (oldPath === undefined && hasOldPath(header)) {
        oldPath = record;
      } else {
        parsed.push({ commitOid, ...header, path: record, oldPath });
        header = undefined;
        oldPath = undefined;
      }
    }
    if (parsed.length > 0) yield parsed;
  }
}

function commitOf(words: Buffer): string | undefined {
  if (words.length === 0) return undefined;
  const text = words.toString('latin1');
  return isOid(text) ? text : undefined;
}

function hasOldPath({ sources }: Header): boolean {
  return sources.length === 1 && (sources[0].status === 'R' || sources[0].status === 'C');
}

function parseHeader(record: Buffer): Header {
  const words = record.toString('latin1').split(' ');
  const count = words[0]?.lastIndexOf(':') ?? 0;
  const modes = words.slice(0, count + 2).map((word) => Number.parseInt(word.replace(/^:+/, ''), 8));
  const oids = words.slice(count + 2, -1);
  // Newer gits print a score for each parent.
  const statuses = (words.at(-1) ?? '').replace(/\d+/g, '');
  const [first, ...rest] = Array.from({ length: count + 1 }, (_, index) => ({
    // the expression below matches no other letters, and their number is checked
    status: statuses[index] as ChangeStatus,
    mode: modes[index] ?? Number.NaN,
    oid: oids[index] ?? '',
  }));
  const [newMode = Number.NaN, newOid = ''] = [modes[count + 1], oids[count + 1]];
  const isComplete = words.length === 2 * count + 5 && statuses.length === count + 1;
  if (first === undefined || !isComplete || !STATUSES.test(statuses) || modes.some(Number.isNaN)) {
    throw new DiffFormatError(`git diff-tree parsing failed on: ${quote(record)}`);
  }
  return { sources: [first, ...rest], newMode, newOid };
}
