import { checked } from '#domain/diff/diff-failure';
import { outputBytes } from '#git/command/output-bytes';
import { mailsCommand } from '#git/diff/commands';
import { rangeDiffOutput } from '#git/diff/range-diff-output';
import { textOutput } from '#git/diff/text-output';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type {
  RawDiffRequest,
  RawDiffResponseSchema,
  RawPatchRequest,
  RawPatchResponseSchema,
  RawRangeDiffRequest,
  RawRangeDiffResponseSchema,
} from '#wire/gen/diff_pb';
import type { DiffDependencies } from './dependencies.ts';
import { dataMessages, outputMessages } from './output-messages.ts';
import { requireRanges } from './range-spec.ts';
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

/** Streams the commits between two revisions as mails. */
export async function* rawPatch(
  request: RawPatchRequest,
  { signal }: HandlerContext,
  deps: DiffDependencies,
): ResponsesOf<typeof RawPatchResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  yield* outputMessages(
    repository,
    async function* (config) {
      yield* outputBytes(repository, mailsCommand(sides), { signal, config: await config() });
    },
    signal,
  );
}

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
