import { quote } from '#base/quote';
import { DiffFormatError } from './diff-format-error.ts';
import { nulRecords } from './nul-records.ts';
import type { ChangeStatus } from './raw-line.ts';

/** One side that a file is compared with: a tree, or one of the parents of a merge. */
export interface RawSource {
  readonly status: ChangeStatus;
  /** 0 when the file is not there. */
  readonly mode: number;
  /** Zeros when the file is not there. */
  readonly oid: string;
}

/** One record of `diff --raw -z`: a file, compared with one or (`-c`) several sources. */
export interface RawRecord {
  /** The commit that was named last; `undefined` before the first. */
  readonly commitOid: string | undefined;
  readonly sources: readonly [RawSource, ...RawSource[]];
  readonly newMode: number;
  readonly newOid: string;
  readonly path: Buffer;
  /** Of a rename or copy with one source; git does not tell it of several. */
  readonly oldPath: Buffer | undefined;
}

type Header = Pick<RawRecord, 'sources' | 'newMode' | 'newOid'>;

const COLON = 0x3a;
const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const STATUSES = /^[ADMTRCUX]+$/;

/**
 * Reads the output of `diff --raw -z` and `diff-tree --stdin -z`, merges included: `<commit>\0` and `:<modes> <oids> <status>\0<path>\0[<path>\0]`, in
 * batches. What else stands before a colon is passed over: git names two trees on a line that ends with LF. A record that is cut off at the end is dropped, see {@link nulRecords}.
 *
 * @throws {DiffFormatError} on a record of another form.
 */
export async function* parseRawRecords(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<RawRecord[]> {
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
  return OID.test(text) ? text : undefined;
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
    status: statuses[index] as ChangeStatus, // the expression below knows no other letters, and their number is checked
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
