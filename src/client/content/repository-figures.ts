import type { RepositoryInfoResponse } from '#wire/gen/repository_pb';

/** The figures of RepositoryInfo as numbers; a missing one is 0. */
export function repositoryFigures({
  bitmap,
  commitGraph,
  objects,
  references,
  size,
}: Pick<RepositoryInfoResponse, 'bitmap' | 'commitGraph' | 'objects' | 'references' | 'size'>) {
  return {
    bytes: Number(size),
    objects: {
      bytes: Number(objects?.size ?? 0n),
      recentBytes: Number(objects?.recentSize ?? 0n),
      staleBytes: Number(objects?.staleSize ?? 0n),
      keptBytes: Number(objects?.keepSize ?? 0n),
      packfiles: Number(objects?.packfileCount ?? 0n),
      loose: Number(objects?.looseObjectsCount ?? 0n),
    },
    references: {
      loose: Number(references?.looseCount ?? 0n),
      packedBytes: Number(references?.packedSize ?? 0n),
    },
    hasBitmap: bitmap !== undefined,
    hasCommitGraph: commitGraph !== undefined,
  };
}
