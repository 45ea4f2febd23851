import { checked } from '#domain/diff/diff-failure';
import { rangeDiffOutput } from '#git/diff/range-diff-output';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { RawRangeDiffRequest, RawRangeDiffResponseSchema } from '#wire/gen/diff_pb';
import type { DiffDependencies } from './dependencies.ts';
import { dataMessages } from './output-messages.ts';
import { requireRanges } from './range-spec.ts';

/** Streams the output of `git range-diff` for two series of commits. */
export async function* rawRangeDiff(
  request: RawRangeDiffRequest,
  context: HandlerContext,
  deps: DiffDependencies,
): ResponsesOf<typeof RawRangeDiffResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const ranges = requireRanges(request);

  const output = checked(() =>
    rangeDiffOutput(repository, ranges, { color: 'as configured', signal: context.signal }),
  );
  for await (const bytes of output) yield* dataMessages(bytes);
}
