import { flag, gitCommand } from '#git/command/git-command';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import type { PackRefsRequest, PackRefsResponseSchema } from '#wire/gen/ref_pb';
import type { RefDependencies } from '../dependencies.ts';

/**
 * Packs the loose references into one file. Clients of 15.0 only. @throws {GitalyError} INTERNAL
 * `exit status 128` when git cannot, for example locked out.
 */
export async function packRefs(
  request: PackRefsRequest,
  { signal }: HandlerContext,
  deps: RefDependencies,
): ResponseOf<typeof PackRefsResponseSchema> {
  const repository = deps.storages.open(request.repository);

  await repository.run(gitCommand('pack-refs', { options: [flag('--all')] }), { signal });
  return {};
}
