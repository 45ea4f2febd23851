import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrap } from '#base/gitaly-error';
import { checked, diffFailure } from '#domain/diff/diff-failure';
import { OutputBeforeFailure } from '#git/command/output';
import { type CommitPair, parseRangeDiff } from '#git/diff/range-diff';
import { rangeDiffOutput } from '#git/diff/range-diff-output';
import { RangeDiffResponse_Comparator, type RangeDiffResponseSchema } from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { patchMessages } from './patch-messages.ts';
import { requireRanges } from './range-spec.ts';

type Response = MessageInitShape<typeof RangeDiffResponseSchema>;

const COMPARATORS: Readonly<Record<CommitPair['comparison'], RangeDiffResponse_Comparator>> = {
  '=': RangeDiffResponse_Comparator.EQUAL_UNSPECIFIED,
  '>': RangeDiffResponse_Comparator.GREATER_THAN,
  '<': RangeDiffResponse_Comparator.LESS_THAN,
  '!': RangeDiffResponse_Comparator.NOT_EQUAL,
};

/** Compares two series of commits, pair by pair. */
export const rangeDiff: Handlers['rangeDiff'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const ranges = requireRanges(request);

  const { signal } = context;
  const output = checked(() => rangeDiffOutput(repository, ranges, { color: 'never', signal }));
  try {
    yield* rangeMessages(new OutputBeforeFailure(output, signal));
  } catch (error) {
    throw wrap(diffFailure(error), 'RangeDiff');
  }
};

async function* rangeMessages(output: OutputBeforeFailure): AsyncGenerator<Response> {
  let pair: CommitPair | undefined;
  let lines: Buffer[] = [];
  for await (const item of parseRangeDiff(output)) {
    if (item.pair === undefined) {
      lines.push(item.patch);
      continue;
    }
    if (pair !== undefined) yield* pairMessages(pair, lines);
    pair = item.pair;
    lines = [];
  }
  if (pair !== undefined) yield* pairMessages(pair, lines);
  if (output.failure !== undefined) throw output.failure;
}

function* pairMessages(
  { fromOid, toOid, comparison, title }: CommitPair,
  lines: readonly Buffer[],
): Generator<Response> {
  for (const { patch, isFirst, isLast } of patchMessages(lines)) {
    const head = isFirst && {
      fromCommitId: fromOid,
      toCommitId: toOid,
      comparison: COMPARATORS[comparison],
      commitMessageTitle: title,
    };
    yield { ...head, patchData: patch, endOfPatch: isLast };
  }
}
