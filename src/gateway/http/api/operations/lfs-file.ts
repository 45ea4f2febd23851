import { requestedContent } from '#base/network/requested-content';
import type { CallOptions } from '#client/call/call-types';
import type { Place } from '#client/repository/place';
import { LfsObjects } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { Problem } from '../problems.ts';
import { oneOf } from '../schemas/parts.ts';

/** Larger blobs are no pointers. @see Gitaly: GetLFSPointers */
const MAX_POINTER_BYTES = 200n;

/** Parameter of operations that read files. */
export const LFS_QUERY = oneOf(
  ['pointer', 'resolve'],
  'resolve: the files of Git LFS instead of their pointers. Default: pointer.',
);

/** A file of Git LFS, by its pointer. */
export interface ResolvedFile {
  readonly requested: ReturnType<typeof requestedContent>;
  readonly stream: AsyncIterable<Uint8Array> | undefined;
}

interface ResolveOptions {
  readonly place: Place;
  readonly store: ObjectStore | undefined;
  readonly headers: Parameters<typeof requestedContent>[0];
  readonly options: CallOptions & { readonly signal: AbortSignal };
}

/**
 * Finds the file that a blob is the pointer of, and what a request wants of it; `undefined` if the
 * blob is no pointer. The ETag is the SHA-256 of the file.
 *
 * @throws {Problem} if the server does not have the file.
 */
export async function resolveLfsFile(
  { oid, size }: { readonly oid: string; readonly size: bigint },
  { headers, options, place: { connection, repository }, store }: ResolveOptions,
): Promise<ResolvedFile | undefined> {
  if (size > MAX_POINTER_BYTES) return undefined;
  const { signal } = options;
  const found = connection.blob.getLFSPointers({ repository, blobIds: [oid] }, options);
  const pointer = (await Array.fromAsync(found)).flatMap(({ lfsPointers }) => lfsPointers)[0];
  if (pointer === undefined) return undefined;
  const [own, ...sources] = (await connection.settings.get({ repository }, options)).lfsIds;
  const objects = store && own !== undefined ? new LfsObjects(store, [own, ...sources]) : undefined;
  const file = await objects?.find(Buffer.from(pointer.fileOid).toString(), signal);
  if (objects === undefined || file === undefined)
    throw new Problem('not-found', 404, 'The server does not have the file of this pointer of Git LFS.');
  const requested = requestedContent(headers, { etag: `"${file.oid}"`, sizeBytes: file.size });
  const { range } = requested;
  return { requested, stream: range && objects.content(file, range, signal) };
}
