import type { ObjectStore } from '#object-store/object-store';

/** The store of a server's files of Git LFS. */
export interface ArchivedLfsStore {
  readonly store: ObjectStore;
  /** True for a directory: what is in a bucket survives the loss of the disk. */
  readonly isArchived: boolean;
}
