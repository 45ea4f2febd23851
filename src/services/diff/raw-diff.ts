import { textOutput } from '#git/diff/text-output';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { RawDiffRequest, RawDiffResponseSchema } from '#wire/gen/diff_pb';
import type { DiffDependencies } from './dependencies.ts';
import { outputMessages } from './output-messages.ts';
import { requireSides } from './sides.ts';

/** Streams `git diff` of two commits as it is. */
export async function* rawDiff(
  request: RawDiffRequest,
  { signal }: HandlerContext,
  deps: DiffDependencies,
): ResponsesOf<typeof RawDiffResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  yield* outputMessages(repository, (config) => textOutput(repository, sides, { signal, config }), signal);
}
