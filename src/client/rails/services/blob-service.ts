import { blobs } from '#client/content/collect/blobs';
import { eachItem } from '#client/content/collect/each-item';
import { wholeBytes } from '#client/content/collect/whole-bytes';
import type { LFSPointer } from '#wire/gen/blob_pb';
import { bytes, RepositoryCalls, type TextOrBytes } from './storage-calls.ts';

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

  /** Yields the files at paths of revisions, with at most `limit` bytes each. Missing ones are left out. */
  getBlobs(places: Iterable<readonly [revision: string, path: TextOrBytes]>, limit = -1n) {
    const revisionPaths = Array.from(places, ([revision, path]) => ({ revision, path: bytes(path) }));
    return this.each('fast', (gitaly) =>
      blobs(gitaly.blob.getBlobs({ repository: this.repository, revisionPaths, limit })),
    );
  }

  /** Yields the blobs of revisions (`main`, `--not --all`), with at most `bytesLimit` bytes each. */
  listBlobs(
    revisions: readonly string[],
    options: { limit?: number; bytesLimit?: bigint; withPaths?: boolean } = {},
  ) {
    const request = { repository: this.repository, revisions: [...revisions], ...options };
    return this.each('medium', (gitaly) => blobs(gitaly.blob.listBlobs(request)));
  }

  /** Yields those of the blobs that are LFS pointers. */
  batchLfsPointers(blobIds: readonly string[]): AsyncGenerator<LFSPointer, void, undefined> {
    const request = { repository: this.repository, blobIds: [...blobIds] };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.blob.getLFSPointers(request), ({ lfsPointers }) => lfsPointers),
    );
  }

  /** Yields the LFS pointers of revisions. */
  listLfsPointers(
    revisions: readonly string[],
    { limit = 0 }: { limit?: number } = {},
  ): AsyncGenerator<LFSPointer, void, undefined> {
    const request = { repository: this.repository, revisions: [...revisions], limit };
    return this.each('medium', (gitaly) =>
      eachItem(gitaly.blob.listLFSPointers(request), ({ lfsPointers }) => lfsPointers),
    );
  }
}
