import { invalidArgument } from '#base/gitaly-error';
import type { RangeDiffRequest, RawRangeDiffRequest } from '#wire/gen/diff_pb';

/**
 * Returns the arguments that name the ranges of `git range-diff`. An empty request is passed to
 * git, which refuses it.
 *
 * @throws {GitalyError} INVALID_ARGUMENT when a part is missing.
 */
export function requireRanges({
  rangeSpec,
}: Pick<RangeDiffRequest | RawRangeDiffRequest, 'rangeSpec'>): string[] {
  switch (rangeSpec.case) {
    case 'rangePair': {
      const { range1, range2 } = rangeSpec.value;
      return [required(range1, 'Range1'), required(range2, 'Range2')];
    }
    case 'revisionRange': {
      const { rev1, rev2 } = rangeSpec.value;
      return [`${required(rev1, 'Rev1')}...${required(rev2, 'Rev2')}`];
    }
    case 'baseWithRevisions': {
      const { rev1, rev2, base } = rangeSpec.value;
      const [left, right] = [required(rev1, 'Rev1'), required(rev2, 'Rev2')];
      return [required(base, 'Base'), left, right];
    }
    case undefined:
      return [];
  }
}

function required(text: string, name: string): string {
  if (text === '') throw invalidArgument(`empty ${name}`);
  return text;
}
