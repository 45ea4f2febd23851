import type { RefName } from '#git/names/ref-name';
import type { StoredBackend } from '#git/repository-files/repository-format';
import type { RefQuery } from '../git/for-each-ref.ts';
import type { RawRef } from './files/loose-ref.ts';
import type { PackedLines } from './files/packed-lines.ts';
import type { LooseRef } from './files/walk-loose-refs.ts';
import type { ListedRef } from './listed-ref.ts';
import type { ResolvedRef, ResolvedRefWatch } from './resolved-refs.ts';

/** Returns the contents of a reference, not followed; `undefined` when it does not exist. */
export type ReadRef = (name: RefName) => RawRef | undefined;

/** Looks up the final targets of references whose storage does not contain them. */
export type PeelRefs = (refs: readonly ListedRef[]) => Promise<ListedRef[]>;

/** The references as an advertisement needs them. */
export interface AdvertisedView {
  readonly read: ReadRef;
  /** Follows a reference to an object id; `undefined` when it leads nowhere. */
  readonly follow: (name: RefName) => ResolvedRef | undefined;
  /**
   * Returns the references below a directory that are not among the {@link lines}, or replace one
   * of them, in the order of names. @param maxEntries limit, beyond which it falls back to git.
   */
  readonly others: (directory: Buffer, maxEntries: number) => Promise<LooseRef[]>;
  /** Returns the encoded references. Call it after {@link others}. */
  readonly lines: () => Promise<PackedLines>;
}

export interface ListStoredOptions {
  /** Without it, targets of tag objects may stay unknown. */
  readonly peel?: PeelRefs | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The part of a repository's checksum that its storage determines. */
export interface RefSum {
  /** Five words. */
  readonly words: Int32Array;
  /** Ids of objects without which git fails. */
  readonly oids: Iterable<string>;
}

/**
 * The references of one repository in one storage format, read in process. Methods throw
 * {@link FallBackToGit} where only git can read them: what git would not write, or very much of it.
 */
export interface RefStorage {
  readonly backend: StoredBackend;

  /**
   * Calls back with a function that reads references. All files are noted in `watch` before they
   * are read. It may call back again, if they change meanwhile.
   */
  inView<T>(use: (read: ReadRef) => T, watch?: ResolvedRefWatch): T;

  /** Follows a reference to an object id; `undefined` when it does not exist or leads nowhere. */
  follow(name: RefName): ResolvedRef | undefined;

  /**
   * Reports whether git takes a short name for something else than a completed one.
   *
   * @param hasFile False if the git directory is known to have no file of the name.
   */
  isTaken(name: string, hasFile?: boolean): boolean;

  /**
   * Reports whether a change of a reference may add to a reflog although no setting asks for it:
   * git continues those that exist.
   */
  mayLog(name: RefName): boolean;

  hasBranch(): boolean;

  /**
   * Lists the references that match patterns in the order of names, in batches, some of which may
   * be empty. Patterns are matched in slices of the event loop.
   */
  list(
    query: Pick<RefQuery, 'patterns' | 'exclude'>,
    options: ListStoredOptions,
  ): AsyncGenerator<ListedRef[], void>;

  /** Returns a view for an advertisement. @param options with `peel`, lines have targets of tags. */
  advertised(options: { readonly peel: boolean }): Promise<AdvertisedView>;

  /** Returns the sum of the lines of all references, with HEAD, that belong to the checksum. */
  sum(): Promise<RefSum>;
}
