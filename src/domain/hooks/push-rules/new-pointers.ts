import { existsSync, readdirSync } from 'node:fs';
import type { ObjectInfo } from '#git/names/object-info';
import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import type { LfsPointer } from '#git/objects/parse/parse-lfs-pointer';
import { allObjects } from '#git/objects/walk-objects';
import type { GitRepository } from '#git/repository';

/** A new blob that is a pointer of Git LFS. */
export interface NewPointer extends LfsPointer {
  /** Id of the blob. */
  readonly blob: string;
}

const SHARD = /^[0-9a-f]{2}$/;

/**
 * Yields the pointers of Git LFS among the objects of a quarantine. Those of a small push are
 * loose, and are read without a process.
 */
export async function* newPointers(
  quarantined: GitRepository,
  signal: AbortSignal,
): AsyncGenerator<readonly NewPointer[]> {
  const { objectDirectory, objects } = quarantined;
  if (!hasFiles(`${objectDirectory}/pack`)) {
    const loose: NewPointer[] = [];
    for (const oid of looseOids(objectDirectory)) {
      const info = await objects.info(oid, { signal });
      const blob = info && isSmallBlob(info) ? await objects.readObject(oid, { signal }) : undefined;
      const pointer = blob && parseLfsFilePointer(blob.data);
      if (pointer !== undefined) loose.push({ ...pointer, blob: oid });
    }
    yield loose;
    return;
  }
  const own = quarantined.withObjectDirectories({ objectDirectory, alternateObjectDirectories: [] });
  const small = async function* (aborted: AbortSignal): AsyncGenerator<readonly ObjectInfo[]> {
    for await (const infos of allObjects(own, { type: 'blob', signal: aborted }))
      yield infos.filter(isSmallBlob);
  };
  for await (const batch of own.objects.readMany(small, { signal }))
    yield batch.flatMap(({ item, object }) => {
      const pointer = object && parseLfsFilePointer(object.data);
      return pointer === undefined ? [] : [{ ...pointer, blob: item.oid }];
    });
}

function isSmallBlob({ size, type }: ObjectInfo): boolean {
  return type === 'blob' && size <= MAX_LFS_FILE_POINTER_BYTES;
}

function hasFiles(directory: string): boolean {
  return existsSync(directory) && readdirSync(directory).length > 0;
}

/** Lists the loose objects of a quarantine: git and this server pack more than 100. */
function looseOids(objectDirectory: string): string[] {
  const shards = readdirSync(objectDirectory).filter((name) => SHARD.test(name));
  return shards.flatMap((shard) => readdirSync(`${objectDirectory}/${shard}`).map((name) => shard + name));
}
