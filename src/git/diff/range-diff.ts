import { lineBatches } from '#base/streams/line-batches';
import { DiffFormatError } from './parse/diff-format-error.ts';

/** Two corresponding commits of a range-diff, or one without a counterpart. */
export interface CommitPair {
  /** One dash for each digit of an id if there is no commit. */
  readonly fromOid: string;
  readonly toOid: string;
  /** Equal, only on the right, only on the left, changed. */
  readonly comparison: '=' | '>' | '<' | '!';
  readonly title: string;
}

/**
 * A pair, or lines of the preceding pair's patch: the difference of the two patches, without git's
 * indentation, with line ends.
 */
export type RangeDiffItem =
  | { readonly pair: CommitPair }
  | { readonly pair: undefined; readonly patch: Buffer };

/** git leaves out the space before an empty title. */
const PAIR = /^ *(?:-|\d+): +(-+|[a-f0-9]+) ([>=!<]) +(?:-|\d+): +(-+|[a-f0-9]+)(?: (.*))?$/s;
/** First bytes of a line that describes a pair: space, digit or dash. */
const CAN_BEGIN_PAIR = new Set(Buffer.from(' -0123456789'));
const INDENT_BYTES = 4;
/**
 * Limit of a line: lines of a patch are as long as those of a file, and git treats larger files as
 * binary.
 */
const MAX_LINE_BYTES = 64 << 20;

/**
 * Parses the output of `git range-diff --no-color` with full ids: a line for each pair, `1: <oid> !
 * 2: <oid> <title>`, followed for a changed one by its patch, indented by four spaces.
 *
 * @throws {DiffFormatError} with Gitaly's text on other lines.
 */
export async function* parseRangeDiff(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<RangeDiffItem> {
  let hasPair = false;
  for await (const lines of lineBatches(chunks, { maxLineBytes: MAX_LINE_BYTES })) {
    for (const line of lines) {
      const pair = parsePair(line);
      if (pair !== undefined) {
        hasPair = true;
        yield { pair };
        continue;
      }
      if (!hasPair)
        throw new DiffFormatError(`range-diff commit pair not found, current line: ${line.toString()}`);
      if (line.length < INDENT_BYTES)
        throw new DiffFormatError(`range-diff patch data too short, line size: ${line.length}`);
      yield { pair: undefined, patch: withLineFeed(line.subarray(INDENT_BYTES)) };
    }
  }
}

function parsePair(line: Buffer): CommitPair | undefined {
  if (!CAN_BEGIN_PAIR.has(line[0] ?? 0)) return undefined;
  const match = PAIR.exec(line.toString('latin1'));
  if (match === null) return undefined;
  const [, fromOid = '', comparison, toOid = '', title = ''] = match;
  // The expression matches no other signs.
  return {
    fromOid,
    toOid,
    comparison: comparison as CommitPair['comparison'],
    title: Buffer.from(title, 'latin1').toString(),
  };
}

function withLineFeed(line: Buffer): Buffer {
  const whole = Buffer.allocUnsafe(line.length + 1);
  line.copy(whole);
  whole[line.length] = 0x0a;
  return whole;
}
