import { GitalyError } from '#base/gitaly-error';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/command/in-process';
import { HEAD, isRefName, type RefName } from '#git/names/ref-name';
import type { RawRef } from '../storage/files/loose-ref.ts';
import { RefFiles } from '../storage/files/ref-files.ts';
import { followRef, MAX_SYMBOLIC_DEPTH } from '../storage/follow-ref.ts';
import type { RefStorage } from '../storage/ref-storage.ts';
import { RefTables } from '../storage/reftable/ref-tables.ts';
import type { ResolvedRef } from '../storage/resolved-refs.ts';
import type { RefCaches } from './ref-caches.ts';

/**
 * The prefixes with which git completes a short name first, in its order. After these come remotes,
 * which only git looks up.
 */
const SHORT_NAME_PREFIXES = ['refs/', 'refs/tags/', 'refs/heads/'];
/** Texts that git puts before and after a name to complete it, in its order. */
const COMPLETIONS = [
  ['', ''],
  ...SHORT_NAME_PREFIXES.map((prefix) => [prefix, ''] as const),
  ['refs/remotes/', ''],
  ['refs/remotes/', '/HEAD'],
] as const;

// Made once: names are resolved in every call, and to make an error costs more than that.
const UNSUPPORTED = new FallBackToGit('the storage of references is not supported');
// git reads a reference or a file of the name itself before it completes the name.
const TAKEN = new FallBackToGit('a reference or file of the git directory has the name');

/**
 * The references of one repository in the storage format of its `config`, read in process and
 * without waiting. Methods throw {@link FallBackToGit} where only git can read them, and the error
 * of `referenceBackend`.
 */
export class StoredRefs {
  readonly #caches: RefCaches;
  readonly #repository: CommandRepository;

  constructor(caches: RefCaches, repository: CommandRepository) {
    this.#caches = caches;
    this.#repository = repository;
  }

  /** The storage, as the config file names it at this moment. */
  get storage(): RefStorage {
    const [caches, repository] = [this.#caches, this.#repository];
    const { isPlain, referenceBackend } = repository.format;
    switch (isPlain ? referenceBackend : 'other') {
      case 'files':
        return new RefFiles(caches, repository);
      case 'reftable':
        // An older git refuses the repository.
        if (repository.git.capabilities.reftable) return new RefTables(caches, repository);
        throw UNSUPPORTED;
      default:
        throw UNSUPPORTED;
    }
  }

  /** Returns the storage of a repository that git would work with. */
  requirePlain(): RefStorage {
    try {
      const { storage } = this;
      if (storage.follow(HEAD) === undefined && storage.inView((read) => read(HEAD)) === undefined)
        throw new FallBackToGit('there is no HEAD');
      return storage;
    } catch (error) {
      if (!(error instanceof GitalyError)) throw error;
      throw new FallBackToGit('the config file cannot be read', { cause: error });
    }
  }

  /** Returns the contents of a reference, not followed; `undefined` when it does not exist. */
  read(name: RefName): RawRef | undefined {
    return this.storage.inView((read) => read(name));
  }

  /** Follows a reference to an object id; `undefined` when it does not exist or leads nowhere. */
  resolve(name: RefName): ResolvedRef | undefined {
    const known = this.#caches.resolved.find(this.#repository.path, name.toString('latin1'));
    // The files that led to it are unchanged, so the storage is the same, too.
    if (known?.ref !== undefined) return known.ref;
    const { storage } = this;
    return known?.backend === storage.backend ? undefined : storage.follow(name);
  }

  /**
   * Resolves a name that git completes (`main`, `tags/v1`); `undefined` when only git knows what it
   * is.
   *
   * @param name one character per byte; not `HEAD` and not below `refs/`.
   */
  resolveShort(name: string): ResolvedRef | undefined {
    const { path } = this.#repository;
    const { resolved } = this.#caches;
    const known = resolved.find(path, name, 'short');
    if (known?.ref !== undefined) return known.ref;
    const watch = resolved.watch(path, name, 'short');
    const hasFile = watch.beforeFile(name);
    const { storage } = this;
    if (storage.isTaken(name, hasFile)) throw TAKEN;
    for (const prefix of SHORT_NAME_PREFIXES) {
      const candidate = Buffer.from(prefix + name, 'latin1');
      const ref = isRefName(candidate)
        ? storage.inView((read) => followRef(read, candidate), watch)
        : undefined;
      if (ref === undefined) continue;
      watch.found(ref, storage.backend);
      return ref;
    }
    return undefined;
  }

  /**
   * Resolves a name as git does that warns about ambiguous ones; `undefined` if no reference has
   * the name, or several of those to which git completes it exist.
   *
   * @param name one character per byte; no possible object id.
   */
  resolveUnambiguous(name: string): ResolvedRef | undefined {
    const { storage } = this;
    const isFull = name === 'HEAD' || name.startsWith('refs/');
    if (!isFull && storage.isTaken(name)) throw TAKEN;
    return storage.inView((read) => {
      const found = COMPLETIONS.flatMap(([prefix, suffix]) => {
        const candidate = Buffer.from(prefix + name + suffix, 'latin1');
        return (isRefName(candidate) && followRef(read, candidate)) || [];
      });
      return found.length === 1 ? found[0] : undefined;
    });
  }

  /** Reports whether git completes a name that no reference has to the name of another one. */
  isCompleted(name: string): boolean {
    if (this.resolveShort(name) !== undefined) return true;
    const { storage } = this;
    return ['', '/HEAD'].some((rest) => {
      const candidate = Buffer.from(`refs/remotes/${name}${rest}`, 'latin1');
      return isRefName(candidate) && storage.inView((read) => followRef(read, candidate)) !== undefined;
    });
  }

  /**
   * Returns the reference that HEAD names, at the end of the chain of symbolic ones; it need not
   * exist.
   */
  headTarget(): RefName {
    return this.storage.inView((read) => {
      let at = HEAD;
      for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
        const raw = read(at);
        if (raw?.symbolicTarget !== undefined) at = raw.symbolicTarget;
        else if (at === HEAD) throw new FallBackToGit('HEAD is not symbolic');
        else return at;
      }
      throw new FallBackToGit('HEAD leads through too many symbolic references');
    });
  }

  hasBranch(): boolean {
    return this.storage.hasBranch();
  }
}
