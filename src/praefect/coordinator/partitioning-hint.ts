import type { Message } from '@bufbuild/protobuf';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#wire/gen/shared_pb';
import type { MethodInfo } from '#wire/method-info';

/**
 * Metadata with the path of a repository; the node stores a new repository in the same partition.
 */
export const PARTITIONING_HINT = 'gitaly-partitioning-hint';

/**
 * Returns the path of the repository in whose partition a new one is stored: from the metadata, or
 * the source of a fork.
 */
export function partitioningHint(
  method: MethodInfo,
  request: Message,
  context: HandlerContext,
): string | undefined {
  const hints = context.headers.getAll(PARTITIONING_HINT);
  if (hints.length > 1) throw new Error('mutator call: extract partitioning hint: multiple hints');
  const [hint] = hints;
  if (hint !== undefined && hint !== '') return hint;
  if (method.name !== 'CreateFork') return undefined;
  // CreateFork has this field.
  const { sourceRepository: source } = request as Message & { sourceRepository?: Repository };
  const target = method.targetRepository(request);
  return source?.storageName === target?.storageName ? source?.relativePath : undefined;
}
