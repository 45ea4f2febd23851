import { lineBatches } from '#base/line-batches';
import { DiffFormatError } from './diff-format-error.ts';

/** Two commits of a range-diff that belong together, or one that has no counterpart. */
export interface CommitPair {
  /** Dashes, as many as an id has digits, where there is no commit. */
  readonly fromOid: string;
  readonly toOid: string;
  /** Equal, only on the right, only on the left, changed. */
  readonly comparison: '=' | '>' | '<' | '!';
  readonly title: string;
}

/** A pair, or lines of the patch of the pair before it: how the two patches differ, without git's indent, with line ends. */
export type RangeDiffItem = { readonly pair: CommitPair } | { readonly pair: undefined; readonly patch: Buffer };

const PAIR = /^ *(?:-|\d+): +(-+|[a-f0-9]+) ([>=!<]) +(?:-|\d+): +(-+|[a-f0-9]+) (.*)$/s;
/** A line that describes a pair begins with spaces, digits or a dash. */
const CAN_BEGIN_PAIR = new Set(Buffer.from(' -0123456789'));
const INDENT_BYTES = 4;
/** Lines of a patch are as long as those of a file, and larger files are binary for git. */
const MAX_LINE_BYTES = 64 << 20;

/**
 * Reads the output of `git range-diff --no-color` with full ids: a line for each pair, `1:  <oid> ! 2:  <oid> <title>`, and behind a changed one
 * its patch, indented by four spaces.
 *
 * @throws {DiffFormatError} with Gitaly's words on lines of another form.
 */
export async function* parseRangeDiff(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<RangeDiffItem> {
  let hasPair = false;
  for await (const lines of lineBatches(chunks, { maxLineBytes: MAX_LINE_BYTES })) {
    for (const line of lines) {
      const pair = parsePair(line);
      if (pair !== undefined) {
        hasPair = true;
        yield { pair };
        continue;
      }
      if (!hasPair) throw new DiffFormatError(`range-diff commit pair not found, current line: ${line.toString()}`);
      if (line.length < INDENT_BYTES) throw new DiffFormatError(`range-diff patch data too short, line size: ${line.length}`);
      yield { pair: undefined, patch: withLineFeed(line.subarray(INDENT_BYTES)) };
    }
  }
}

function parsePair(line: Buffer): CommitPair | undefined {
  if (!CAN_BEGIN_PAIR.has(line[0] ?? 0)) return undefined;
  const match = PAIR.exec(line.toString('latin1'));
  if (match === null) return undefined;
  const [, fromOid = '', comparison, toOid = '', title = ''] = match;
  // The expression has no other signs.
  return { fromOid, toOid, comparison: comparison as CommitPair['comparison'], title: Buffer.from(title, 'latin1').toString() };
}

function withLineFeed(line: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(line.length + 1);
  line.copy(whole);
  whole[line.length] = 0x0a;
  return whole;
}
