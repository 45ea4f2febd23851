import { GitalyError } from '#base/gitaly-error';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { Destination, ProxyPlan } from '../proxy/proxy-plan.ts';
import type { Call, CoordinatedCallOptions } from './call.ts';
import { outgoingMetadata } from './outgoing-metadata.ts';
import { rewriteStorage } from './rewrite.ts';

/** Sends a call of storage scope to a healthy node, or a mutator to the primary and the others. */
export async function planStorageCall(
  { router }: CoordinatedCallOptions,
  { context, method, request }: Call,
): Promise<ProxyPlan> {
  const virtualStorage = method.targetStorage(request) ?? '';
  if (virtualStorage === '')
    throw new GitalyError('INVALID_ARGUMENT', 'storage scoped: target storage is invalid');
  const { primary, secondaries } =
    method.operation === 'mutator'
      ? await router.storageMutator(virtualStorage)
      : { primary: await router.storageAccessor(virtualStorage), secondaries: [] };
  const destination = (node: GitalyNode): Destination => ({
    node,
    metadata: outgoingMetadata(context, virtualStorage),
    firstFrame: rewriteStorage(method, request, node.storage),
    onError: (error) => error,
  });
  context.log.add({ route: { storage: primary.storage } });
  return {
    primary: destination(primary),
    secondaries: secondaries.map(destination),
    finish: async () => {},
  };
}
