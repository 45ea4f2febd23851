import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import { isOid, type Oid } from '../names/object-id.ts';
import type { ObjectInfo } from '../names/object-info.ts';
import type { GitRepository } from '../repository.ts';
import { readShallowFile } from './database/shallow-file.ts';
import type { ObjectReader } from './object-reader.ts';

/** Limit of objects; for more, starting git takes a small part of the time. */
const MAX_OBJECTS = 1_000;
/** Limit of a blob whose contents are read: larger ones are left to git. */
const MAX_BLOB_BYTES = 256 * 1024;
/** Limit of the contents of all blobs, which are in memory at once. */
const MAX_ALL_BYTES = 4 * 1024 * 1024;
/** Number of concurrent lookups. */
const GROUP = 128;

/** A blob, with its contents if they were requested. */
export interface NamedBlob extends ObjectInfo {
  readonly data: Buffer | undefined;
}

export interface NamedBlobsOptions {
  /** True to read the contents too. */
  readonly isDataWanted: boolean;
  /** Most blobs that are returned; 0 means all. Those beyond are only looked up. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/**
 * Returns the blobs that `rev-list --objects` prints for revisions that are full ids of blobs, each
 * once, without starting git; `undefined` when git has to walk, or when one of them cannot be read.
 * A test compares the two.
 */
export async function namedBlobs(
  repository: GitRepository,
  revisions: readonly Buffer[],
  options: NamedBlobsOptions,
): Promise<NamedBlob[] | undefined> {
  const oids = oidsOf(repository, revisions);
  if (oids === undefined) return undefined;
  return await repository.inProcess.attempt<NamedBlob[] | undefined>(
    'named_blobs',
    async () => {
      readShallowFile(repository);
      return await readBlobs(repository.objects, oids, options).catch(fallBackOnFailure);
    },
    () => undefined,
  );
}

/** Looks all of them up before it reads the contents: git reports a missing one before any other. */
async function readBlobs(
  objects: ObjectReader,
  oids: readonly Oid[],
  { isDataWanted, limit, signal }: NamedBlobsOptions,
): Promise<NamedBlob[]> {
  const infos: ObjectInfo[] = [];
  for await (const info of mapAhead(oids, GROUP, (oid) => objects.info(oid, { signal }))) {
    if (info?.type !== 'blob') throw new FallBackToGit('an object is not a blob');
    infos.push(info);
  }
  const wanted = limit === 0 ? infos : infos.slice(0, limit);
  if (!isDataWanted) return wanted.map((info) => ({ ...info, data: undefined }));
  const bytes = wanted.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MAX_ALL_BYTES || wanted.some(({ size }) => size > MAX_BLOB_BYTES))
    throw new FallBackToGit('the blobs are large');
  const blobs: NamedBlob[] = [];
  const read = (info: ObjectInfo) => objects.readObject(info.oid, { signal, maxBytes: MAX_BLOB_BYTES });
  for await (const blob of mapAhead(wanted, GROUP, read)) {
    if (blob === undefined) throw new FallBackToGit('a blob was removed meanwhile');
    blobs.push(blob);
  }
  return blobs;
}

/** Returns each id once; `undefined` if a revision is something else. */
function oidsOf({ objectFormat }: GitRepository, revisions: readonly Buffer[]): Oid[] | undefined {
  if (revisions.length > MAX_OBJECTS) return undefined;
  const oids = new Set<Oid>();
  for (const revision of revisions) {
    const text = revision.toString('latin1');
    if (!isOid(text, objectFormat)) return undefined;
    oids.add(text);
  }
  return [...oids];
}
