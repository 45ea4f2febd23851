import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ConfigPair } from '#git/command/config';
import { outputBytes } from '#git/command/output-bytes';
import { mailsCommand } from '#git/diff/commands';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawPatchRequest, RawPatchResponseSchema } from '#wire/gen/diff_pb';
import type { DiffDependencies } from './dependencies.ts';
import { rawOutput } from './raw-output.ts';
import { requireSides } from './sides.ts';

/** Streams the commits between two revisions as mails. */
export async function* rawPatch(
  request: RawPatchRequest,
  { signal }: HandlerContext,
  deps: DiffDependencies,
): AsyncGenerator<MessageInitShape<typeof RawPatchResponseSchema>> {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  const mails = (config: readonly ConfigPair[]) =>
    outputBytes(repository, mailsCommand(sides), { signal, config });
  yield* rawOutput(repository, mails, signal);
}
