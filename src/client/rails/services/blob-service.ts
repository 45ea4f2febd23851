import { blobs, type WholeBlob } from '#client/content/collect/blobs';
import { wholeBytes } from '#client/content/collect/whole-bytes';
import { type TextOrBytes, toBytes } from '#client/repository/values';
import type { GetBlobsResponse, LFSPointer, ListAllBlobsResponse_Blob } from '#wire/gen/blob_pb';
import type { ObjectType } from '#wire/gen/shared_pb';
import { type Items, RepositoryCalls, type RepositoryInit } from './storage-calls.ts';

/** A path of a revision. */
export type BlobPlace = readonly [revision: string, path: TextOrBytes];

const BYTES_PER_MEGABYTE = 1 << 20;

/** A blob with as much of its content as was requested. */
export interface Blob {
  readonly oid: string;
  /** Size of the whole blob. */
  readonly size: bigint;
  readonly data: Buffer;
}

/** Blobs. @see GitLab: Gitlab::GitalyClient::BlobService */
export class BlobService extends RepositoryCalls {
  /** Returns at most `limit` bytes of a blob (-1: all); `undefined` if there is no such blob. */
  getBlob(oid: string, limit = -1n): Promise<Blob | undefined> {
    return this.call('fast', async (gitaly) => {
      let first: Omit<Blob, 'data'> | undefined;
      const data = await wholeBytes(
        gitaly.blob.getBlob({ repository: this.repository, oid, limit }),
        (response) => {
          if (first === undefined) first = response;
          return response.data;
        },
      );
      if (first === undefined || first.oid === '') return undefined;
      return { oid: first.oid, size: first.size, data };
    });
  }

  /**
   * Yields the files at paths of revisions, with at most `limit` bytes each. Missing ones are left
   * out; without paths no call is made.
   */
  async *getBlobs(places: Iterable<BlobPlace>, limit = -1n): Items<WholeBlob<GetBlobsResponse>> {
    const revisionPaths = Array.from(places, ([revision, path]) => ({ revision, path: toBytes(path) }));
    if (revisionPaths.length === 0) return;
    yield* this.each('fast', (gitaly) =>
      blobs(gitaly.blob.getBlobs({ repository: this.repository, revisionPaths, limit })),
    );
  }

  /**
   * Returns the types of the objects at paths of revisions, by path. A missing object has the type
   * `UNKNOWN`.
   */
  async getBlobTypes(places: Iterable<BlobPlace>): Promise<Map<string, ObjectType>> {
    const revisionPaths = Array.from(places, ([revision, path]) => ({ revision, path: toBytes(path) }));
    const request = { repository: this.repository, revisionPaths, limit: 0n };
    const types = new Map<string, ObjectType>();
    if (revisionPaths.length === 0) return types;
    return await this.call('fast', async (gitaly) => {
      for await (const { path, type } of gitaly.blob.getBlobs(request))
        types.set(Buffer.from(path).toString(), type);
      return types;
    });
  }

  /** Yields the blobs of revisions (`main`, `--not --all`), with at most `bytesLimit` bytes each. */
  listBlobs(
    revisions: readonly string[],
    options: { limit?: number; bytesLimit?: bigint; withPaths?: boolean } = {},
  ) {
    const request = { repository: this.repository, revisions: [...revisions], ...options };
    return this.each('medium', (gitaly) => blobs(gitaly.blob.listBlobs(request)));
  }

  /**
   * Yields all blobs that the repository stores, reachable or not, with at most `bytesLimit` bytes
   * each (default: none). In a hook callback, `ignoresAlternates` restricts them to the blobs of
   * the push.
   */
  listAllBlobs(
    options: { limit?: number; bytesLimit?: bigint; ignoresAlternates?: boolean } = {},
  ): Items<WholeBlob<ListAllBlobsResponse_Blob>> {
    const { ignoresAlternates = false, ...fields } = options;
    const request = { repository: ignoresAlternates ? this.#quarantine : this.repository, ...fields };
    return this.each('medium', (gitaly) => blobs(gitaly.blob.listAllBlobs(request)));
  }

  /** Yields those blobs of `listAllBlobs` that are larger than a number of MiB. */
  async *listOversizedBlobs({
    fileSizeLimitMegabytes = 100,
    ...options
  }: {
    fileSizeLimitMegabytes?: number;
    limit?: number;
    ignoresAlternates?: boolean;
  } = {}): Items<WholeBlob<ListAllBlobsResponse_Blob>> {
    for await (const blob of this.listAllBlobs(options))
      if (blob.size > fileSizeLimitMegabytes * BYTES_PER_MEGABYTE) yield blob;
  }

  /** Yields those of the blobs that are LFS pointers. Without blobs no call is made. */
  async *batchLfsPointers(blobIds: readonly string[]): Items<LFSPointer> {
    if (blobIds.length === 0) return;
    const request = { repository: this.repository, blobIds: [...blobIds] };
    yield* this.items('medium', (gitaly) => gitaly.blob.getLFSPointers(request), 'lfsPointers');
  }

  /** Yields the LFS pointers of revisions. */
  listLfsPointers(revisions: readonly string[], { limit = 0 }: { limit?: number } = {}): Items<LFSPointer> {
    const request = { repository: this.repository, revisions: [...revisions], limit };
    return this.items('medium', (gitaly) => gitaly.blob.listLFSPointers(request), 'lfsPointers');
  }

  /**
   * Yields the LFS pointers of revisions that are not in `notIn` (default: all references). In a
   * hook callback (a repository with `gitObjectDirectory`) these are the new ones of the push,
   * whatever the revisions are.
   */
  getNewLfsPointers(
    revisions: string | readonly string[],
    { limit = 0, notIn = ['--all'] }: { limit?: number; notIn?: readonly string[] } = {},
  ): Items<LFSPointer> {
    if ((this.repository.gitObjectDirectory ?? '') === '')
      return this.listLfsPointers([revisions, '--not', ...notIn].flat(), { limit });
    return this.items(
      'medium',
      (gitaly) => gitaly.blob.listAllLFSPointers({ repository: this.#quarantine, limit }),
      'lfsPointers',
    );
  }

  /** Yields the LFS pointers of all references. */
  getAllLfsPointers(): Items<LFSPointer> {
    return this.listLfsPointers(['--all']);
  }

  /**
   * The repository with its object directory alone: in a hook callback, the new objects of the
   * push.
   */
  get #quarantine(): RepositoryInit {
    return { ...this.repository, gitAlternateObjectDirectories: [] };
  }
}
