import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ObjectFormatRequest, ObjectFormatResponseSchema } from '#wire/gen/repository_pb';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;

/** Returns the hash of a repository. */
export function objectFormat(
  request: ObjectFormatRequest,
  deps: RepositoryDependencies,
): MessageInitShape<typeof ObjectFormatResponseSchema> {
  return { format: FORMATS[deps.storages.open(request.repository).objectFormat] };
}
