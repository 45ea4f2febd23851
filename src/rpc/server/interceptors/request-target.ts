import type { Message } from '@bufbuild/protobuf';
import type { ObjectPool } from '#wire/gen/shared_pb';
import type { ServerCall } from '../server-call.ts';

/** The part of a message's repository that interceptors need. */
export interface RequestTarget {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
  readonly glProjectPath: string;
}

/**
 * Returns the target repository of a request message; `undefined` for methods without one and for
 * opaque frames.
 */
export function requestTarget(call: ServerCall, message: unknown): RequestTarget | undefined {
  if (call.method.scope !== 'repository' || Buffer.isBuffer(message)) return undefined;
  // the hook receives decoded messages of the method's input type
  return call.method.targetRepository(message as Message);
}

/** Names in the first request of a call, for logs and reports. */
export interface NamedTargets {
  readonly repository: RequestTarget | undefined;
  readonly pool: RequestTarget | undefined;
  /** Of a call that works on a partition. */
  readonly storageName: string | undefined;
  readonly partitionId: string | undefined;
}

/** Returns what a request message names; `undefined` for opaque frames. */
export function namedTargets(call: ServerCall, message: unknown): NamedTargets | undefined {
  if (Buffer.isBuffer(message)) return undefined;
  // the hook receives decoded messages of the method's input type
  const request = message as Message & { readonly objectPool?: ObjectPool; readonly partitionId?: string };
  const isOfPartition = call.method.scope === 'partition';
  return {
    repository: requestTarget(call, request),
    pool: request.objectPool?.repository,
    storageName: isOfPartition ? call.method.targetStorage(request) : undefined,
    partitionId: isOfPartition ? request.partitionId : undefined,
  };
}
