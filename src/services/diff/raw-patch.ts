import { outputBytes } from '#git/command/output-bytes';
import { mailsCommand } from '#git/diff/commands';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import type { RawPatchRequest, RawPatchResponseSchema } from '#wire/gen/diff_pb';
import type { DiffDependencies } from './dependencies.ts';
import { outputMessages } from './output-messages.ts';
import { requireSides } from './sides.ts';

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
