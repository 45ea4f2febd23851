import type { Message } from '@bufbuild/protobuf';
import type { ObjectPool } from '#wire/gen/shared_pb';
import type { MethodInfo } from '#wire/method-info';

/** The part of a message's repository that interceptors need. */
export interface RequestTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
  readonly glProjectPath: string;
}

/** Names in the first request of a call. */
export interface NamedTargets {
  /** The repository that the call works on; `undefined` for methods without one. */
  readonly repository: RequestTarget | undefined;
  readonly pool: RequestTarget | undefined;
  /** The storage of a call that works on a partition. */
  readonly storageName: string | undefined;
  readonly partitionId: string | undefined;
}

/** Returns what a request message names; `undefined` for opaque messages. */
export function namedTargets(method: MethodInfo, message: unknown): NamedTargets | undefined {
  if (Buffer.isBuffer(message)) return undefined;
  // decoded messages are of the method's input type
  const request = message as Message & { readonly objectPool?: ObjectPool; readonly partitionId?: string };
  const isOfPartition = method.scope === 'partition';
  return {
    repository: method.scope === 'repository' ? method.targetRepository(request) : undefined,
    pool: request.objectPool?.repository,
    storageName: isOfPartition ? method.targetStorage(request) : undefined,
    partitionId: isOfPartition ? request.partitionId : undefined,
  };
}
