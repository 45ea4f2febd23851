import { codeOf, messageOf } from '#base/gitaly-error';
import { lfsIdsOf } from '#domain/settings/lfs-ids';
import { lfsPointersOf } from '#domain/settings/lfs-pointers';
import { checkedLfsFile, LfsObjects, parseLfsKey } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';
import type { Repository } from '#storage/repository';
import { type ArchiveBucket, lfsFilesOf } from '../bucket/archive-bucket.ts';
import { copyLfsFile } from './copy-lfs-file.ts';
import type { ArchivedLfsStore } from './lfs-store.ts';

/** The files of a repository that were read back. */
export interface VerifiedLfsFiles {
  bytes: number;
  readonly problems: string[];
  isRepaired: boolean;
}

export interface LfsVerificationOptions {
  readonly bucket: Pick<ArchiveBucket, 'store'>;
  readonly lfs: ArchivedLfsStore | undefined;
  readonly signal: AbortSignal;
}

/**
 * Reads the files of Git LFS in an archive back, each once for all repositories, and repairs them
 * from the store of the server.
 */
export class LfsVerification {
  readonly #options: LfsVerificationOptions;
  readonly #files: ObjectStore;
  readonly #seen = new Set<string>();

  constructor(options: LfsVerificationOptions) {
    this.#options = options;
    this.#files = lfsFilesOf(options.bucket);
  }

  /**
   * @param ids under which the archive has the files of a repository.
   * @param repository on the disk, if it is there: files that only its store has are archived.
   */
  async verify(ids: readonly string[], repository: Repository | undefined): Promise<VerifiedLfsFiles> {
    const { lfs, signal } = this.#options;
    const found: VerifiedLfsFiles = { bytes: 0, problems: [], isRepaired: true };
    for (const id of ids) {
      if (this.#seen.has(id)) continue;
      this.#seen.add(id);
      for await (const page of this.#files.list(`${id}/objects/`, { signal }))
        for (const { key } of page) await this.#verifyFile(id, key, found);
    }
    if (lfs?.isArchived !== true || repository === undefined) return found;
    try {
      await this.#addMissing(repository, lfs.store, found);
    } catch (error) {
      signal.throwIfAborted();
      found.problems.push(`the files of Git LFS cannot be compared: ${messageOf(error)}`);
      found.isRepaired = false;
    }
    return found;
  }

  async #verifyFile(id: string, key: string, found: VerifiedLfsFiles): Promise<void> {
    const oid = parseLfsKey(key)?.oid;
    if (oid === undefined) return;
    const { signal } = this.#options;
    try {
      const pieces = checkedLfsFile(oid, this.#files.get(key, { signal }));
      for await (const piece of pieces) found.bytes += piece.length;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof MissingObjectError) return; // deleted since it was listed
      if (codeOf(error) !== 'INVALID_ARGUMENT') throw error;
      found.problems.push(`the file ${oid} of Git LFS is damaged`);
      if (!(await this.#repair(id, oid))) found.isRepaired = false;
    }
  }

  /** Replaces a damaged file. @returns false if the store lacks it, or has a damaged one. */
  async #repair(id: string, oid: string): Promise<boolean> {
    const { lfs, signal } = this.#options;
    if (lfs === undefined) return false;
    const own = new LfsObjects(lfs.store, [id]);
    try {
      const file = await own.find(oid, signal);
      if (file === undefined) return false;
      const bytes = own.content(file, undefined, signal);
      await new LfsObjects(this.#files, [id]).write(oid, bytes, { sizeBytes: file.size, signal });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      if (codeOf(error) !== 'INVALID_ARGUMENT') throw error;
      return false;
    }
  }

  /** Archives files that the history names and that only the store has. */
  async #addMissing(repository: Repository, from: ObjectStore, found: VerifiedLfsFiles): Promise<void> {
    const { signal } = this.#options;
    const [own, ...sources] = await lfsIdsOf(repository);
    if (own === undefined) return;
    const options = { ids: [own, ...sources], from, to: this.#files, signal } as const;
    for await (const pointers of lfsPointersOf(repository, ['--all'], signal))
      for (const { fileOid: oid, fileSize } of pointers) {
        if (fileSize === 0n) continue;
        const result = await copyLfsFile({ oid, size: Number(fileSize) }, options).catch((error: unknown) => {
          signal.throwIfAborted();
          if (codeOf(error) !== 'INVALID_ARGUMENT') throw error;
          found.isRepaired = false;
          return 'damaged' as const;
        });
        if (result === 'copied') found.problems.push(`the file ${oid} of Git LFS was missing`);
        if (result === 'damaged') found.problems.push(`the file ${oid} of Git LFS is damaged on the disk`);
      }
  }
}
