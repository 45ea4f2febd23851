import type { OidList } from '#git/names/oid-set';
import type { BundleSelection } from '../bundle/bundle-selection.ts';

/** The contents of a repository that a backup stores. */
export interface BackupSource {
  /** Returns `sha1` or `sha256`. @throws an error with code NOT_FOUND without a repository. */
  objectFormat(): Promise<string>;
  /** Returns the target of HEAD; an empty text if HEAD is detached. */
  headReference(): Promise<string>;
  /**
   * Yields lines `<object id> <name>`: HEAD, if it leads to a commit, then all references below
   * `refs/` in the order of names. A piece is at least one line.
   */
  referenceLines(): AsyncIterable<Buffer>;
  /**
   * Yields a bundle of all references, or of a selection. Bytes may come before an error.
   *
   * @throws {EmptyBundleError} if it would contain nothing.
   */
  bundle(selection?: BundleSelection): AsyncIterable<Buffer>;
  /** Reports whether the repository has all of some objects. */
  hasObjects(oids: OidList): Promise<boolean>;
  /** Yields the custom hooks as a tar archive; nothing if there are none. */
  customHooks(): AsyncIterable<Uint8Array>;
}
