import type { MessageInitShape } from '@bufbuild/protobuf';
import { textCommand } from '#git/diff/commands';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawDiffRequest, RawDiffResponseSchema } from '#wire/gen/diff_pb';
import type { DiffRooms } from './index.ts';
import { rawOutput } from './raw-output.ts';
import { requireSides } from './sides.ts';

/** Streams `git diff` of two commits as it is. */
export async function* rawDiff(
  request: RawDiffRequest,
  context: HandlerContext,
  rooms: DiffRooms,
): AsyncGenerator<MessageInitShape<typeof RawDiffResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const sides = requireSides(request);

  yield* rawOutput(repository, () => textCommand(sides), context.signal);
}
