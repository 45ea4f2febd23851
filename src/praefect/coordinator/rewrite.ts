import { type Message, toBinary } from '@bufbuild/protobuf';
import { invalidArgument } from '#base/gitaly-error';
import type { MethodInfo } from '#wire/method-info';

/** Names of the repositories of a request on one node. */
export interface NodeNames {
  readonly storage: string;
  readonly replicaPath: string;
  readonly additionalReplicaPath: string | undefined;
}

/**
 * Returns the request as one node receives it: its storage's name and the replicas' paths in place
 * of the client's. They are set in the message itself, which saves a copy of it for each call.
 *
 * @throws {GitalyError} INVALID_ARGUMENT when the request names repositories of two storages.
 */
export function rewriteRepositories(method: MethodInfo, request: Message, names: NodeNames): Buffer {
  const target = method.targetRepository(request);
  const additional = method.additionalRepository(request);
  if (target === undefined) throw invalidArgument('repository not set');
  if (additional !== undefined && names.additionalReplicaPath !== undefined) {
    if (additional.storageName !== target.storageName) {
      throw invalidArgument(
        'resolving additional repository on different storage than target repository is not supported',
      );
    }
    additional.storageName = names.storage;
    additional.relativePath = names.additionalReplicaPath;
  }
  target.storageName = names.storage;
  target.relativePath = names.replicaPath;
  return encode(method, request);
}

/** Returns a request of storage scope as one node receives it. */
export function rewriteStorage(method: MethodInfo, request: Message, storage: string): Buffer {
  method.setTargetStorage(request, storage);
  return encode(method, request);
}

function encode(method: MethodInfo, message: Message): Buffer {
  const bytes = toBinary(method.input, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
