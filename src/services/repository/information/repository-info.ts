import type { MessageInitShape } from '@bufbuild/protobuf';
import type { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { isPoolPath } from '#storage/pool-path';
import type { Bitmap } from '#storage/statistics/bitmap';
import type { LooseObjects } from '#storage/statistics/loose-objects';
import type { Packfiles } from '#storage/statistics/packfiles';
import { type RepositoryStatistics, repositoryStatistics } from '#storage/statistics/repository-statistics';
import {
  RepositoryInfoResponse_ReferencesInfo_ReferenceBackend as ReferenceBackend,
  type RepositoryInfoResponse_BitmapInfoSchema,
  type RepositoryInfoResponse_ObjectsInfoSchema,
  type RepositoryInfoResponse_ReferencesInfoSchema,
  type RepositoryInfoResponseSchema,
} from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

/** Returns the sizes and counts of a repository's references, objects, packs and indexes. */
export const repositoryInfo: Handlers['repositoryInfo'] = async (request, _context, deps) => {
  const repository = deps.storages.open(request.repository);
  const statistics = await repositoryStatistics(repository, deps.storages);
  return toMessage(statistics, isPoolPath(repository.relativePath));
};

function toMessage(
  statistics: RepositoryStatistics,
  isObjectPool: boolean,
): MessageInitShape<typeof RepositoryInfoResponseSchema> {
  const { commitGraph, alternates, lastFullRepackMs, packfiles } = statistics;
  const { multiPackIndex } = packfiles;
  return {
    size: statistics.sizeBytes,
    references: referencesInfo(statistics),
    objects: objectsInfo(statistics.looseObjects, packfiles),
    ...(commitGraph && {
      commitGraph: {
        commitGraphChainLength: BigInt(commitGraph.chainLength),
        hasBloomFilters: commitGraph.hasBloomFilters,
        hasGenerationData: commitGraph.hasGenerationData,
        hasGenerationDataOverflow: commitGraph.hasGenerationDataOverflow,
      },
    }),
    ...(packfiles.bitmap && { bitmap: bitmapInfo(packfiles.bitmap) }),
    ...(multiPackIndex && {
      multiPackIndex: {
        ...multiPackIndex,
        packfileCount: BigInt(multiPackIndex.packfileCount),
        version: BigInt(multiPackIndex.version),
      },
    }),
    ...(packfiles.multiPackIndexBitmap && {
      multiPackIndexBitmap: bitmapInfo(packfiles.multiPackIndexBitmap),
    }),
    ...(alternates && {
      alternates: {
        objectDirectories: [...alternates.objectDirectories],
        lastModified: wholeSeconds(alternates.lastModifiedMs),
      },
    }),
    isObjectPool,
    ...(lastFullRepackMs !== undefined && { lastFullRepack: wholeSeconds(lastFullRepackMs) }),
  };
}

function referencesInfo({
  references,
  referenceBackend,
}: RepositoryStatistics): MessageInitShape<typeof RepositoryInfoResponse_ReferencesInfoSchema> {
  return {
    looseCount: BigInt(references.looseCount),
    packedSize: BigInt(references.packedSize),
    referenceBackend: referenceBackend === 'reftable' ? ReferenceBackend.REFTABLE : ReferenceBackend.FILES,
  };
}

/** Counts objects. Recent ones are neither old loose objects nor in a pack of unreachable ones. */
function objectsInfo(
  loose: LooseObjects,
  packs: Packfiles,
): MessageInitShape<typeof RepositoryInfoResponse_ObjectsInfoSchema> {
  const size = loose.size + packs.size;
  const staleSize = loose.staleSize + packs.cruftSize;
  return {
    size,
    recentSize: size - staleSize,
    staleSize,
    keepSize: packs.keepSize,
    packfileCount: BigInt(packs.count),
    reverseIndexCount: BigInt(packs.reverseIndexCount),
    cruftCount: BigInt(packs.cruftCount),
    keepCount: BigInt(packs.keepCount),
    looseObjectsCount: BigInt(loose.count),
    staleLooseObjectsCount: BigInt(loose.staleCount),
    looseObjectsGarbageCount: BigInt(loose.garbageCount),
  };
}

function bitmapInfo({
  version,
  hasHashCache,
  hasLookupTable,
}: Bitmap): MessageInitShape<typeof RepositoryInfoResponse_BitmapInfoSchema> {
  return { version: BigInt(version), hasHashCache, hasLookupTable };
}

/** Converts a point in time for clients that use whole seconds only. */
function wholeSeconds(milliseconds: number): MessageInitShape<typeof TimestampSchema> {
  return { seconds: BigInt(Math.floor(milliseconds / 1000)) };
}
