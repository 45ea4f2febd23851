import { existsSync } from 'node:fs';
import { GitalyError } from '#base/gitaly-error';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/in-process';
import { isOid, isZeroOid } from '#git/objects/object-id';
import { HEAD, isRefName, type RefName } from '../ref-name.ts';
import { type RawRef, readLooseRef } from './loose-ref.ts';
import { findPackedRef, firstPackedRef, requireSorted } from './packed-refs.ts';
import type { PackedRefsCache } from './packed-refs-cache.ts';
import type { RefCaches } from './ref-caches.ts';
import type { ResolvedRef, ResolvedRefs, ResolvedRefWatch } from './resolved-refs.ts';
import { entriesOf } from './walk-loose-refs.ts';

/** git: SYMREF_MAXDEPTH */
export const MAX_SYMBOLIC_DEPTH = 5;
/** Entries of `refs/heads` that are searched for a first branch; git is faster with more. */
const MAX_ENTRIES = 1_000;

/**
 * The prefixes with which git completes a short name first, in its order. After these come remotes,
 * which only git looks up.
 */
const SHORT_NAME_PREFIXES = ['refs/', 'refs/tags/', 'refs/heads/'];

const BRANCHES = Buffer.from('refs/heads/');

// Made once: names are resolved in every call, and to make an error costs more than that.
const NOT_IN_FILES = new FallBackToGit('references are not kept in files');
// git takes any file of its directory for a reference before it looks further.
const OTHER_FILE = new FallBackToGit('a file of the git directory has the name');
const NOT_PLAIN = new FallBackToGit('a reference is not one that git writes');

/**
 * The references of one repository as its files have them, read in process and without waiting.
 * Methods throw {@link FallBackToGit} where only git can read them: references that are not plain
 * files, and files that git would not write.
 */
export class RefFiles {
  readonly #packed: PackedRefsCache;
  readonly #resolved: ResolvedRefs;
  readonly #repository: CommandRepository;

  constructor({ packed, resolved }: RefCaches, repository: CommandRepository) {
    this.#packed = packed;
    this.#resolved = resolved;
    this.#repository = repository;
  }

  /** Returns normally in a repository with plain files that git would work with. */
  requirePlain(): void {
    try {
      this.requireFiles();
    } catch (error) {
      if (!(error instanceof GitalyError)) throw error;
      throw new FallBackToGit('the config file cannot be read', { cause: error });
    }
    if (this.follow(HEAD) === undefined && this.read(HEAD) === undefined)
      throw new FallBackToGit('there is no HEAD');
  }

  /** Returns normally where references are files. @throws as `referenceBackend`. */
  requireFiles(): void {
    if (this.#repository.referenceBackend !== 'files') throw NOT_IN_FILES;
  }

  /**
   * Reads a reference from its own file, else from packed-refs. The order matters: packing writes
   * the latter first.
   */
  read(name: RefName): RawRef | undefined {
    const loose = readLooseRef(this.#repository.path, name);
    if (loose !== undefined) return loose;
    const oid = this.#packed.read(this.#repository.path, (source) => {
      requireSorted(source);
      return findPackedRef(source, name);
    });
    if (oid === undefined) return undefined;
    if (!isOid(oid) || isZeroOid(oid)) throw NOT_PLAIN;
    return { oid };
  }

  /**
   * Follows a reference to an object id; `undefined` when it does not exist or leads nowhere.
   * @throws as `referenceBackend`.
   */
  resolve(name: RefName): ResolvedRef | undefined {
    const known = this.#resolved.find(this.#repository.path, name.toString('latin1'));
    // The files that led to it are unchanged, so references are still files.
    if (known?.ref !== undefined) return known.ref;
    this.requireFiles();
    return known === undefined ? this.#followAnew(name) : known.ref;
  }

  /**
   * Resolves a name that git completes (`main`, `tags/v1`); `undefined` when only git knows what it
   * is. @throws as `referenceBackend`.
   *
   * @param name one character per byte; not `HEAD` and not below `refs/`.
   */
  resolveShort(name: string): ResolvedRef | undefined {
    const { path } = this.#repository;
    const known = this.#resolved.find(path, name, 'short');
    if (known?.ref !== undefined) return known.ref;
    const watch = this.#resolved.watch(path, name, 'short');
    watch.beforeFile(name);
    const file = Buffer.concat([Buffer.from(`${path}/`), Buffer.from(name, 'latin1')]);
    if (existsSync(file)) throw OTHER_FILE;
    this.requireFiles();
    for (const prefix of SHORT_NAME_PREFIXES) {
      const candidate = Buffer.from(prefix + name, 'latin1');
      const ref = isRefName(candidate) ? this.#followChain(candidate, watch) : undefined;
      if (ref === undefined) continue;
      watch.found(ref);
      return ref;
    }
    return undefined;
  }

  /** Like {@link resolve} where references are known to be files. */
  follow(name: RefName): ResolvedRef | undefined {
    const known = this.#resolved.find(this.#repository.path, name.toString('latin1'));
    return known === undefined ? this.#followAnew(name) : known.ref;
  }

  /**
   * Returns the reference that HEAD names, at the end of the chain of symbolic ones; it need not
   * exist. @throws as `referenceBackend`.
   */
  headTarget(): RefName {
    this.requireFiles();
    let at = HEAD;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
      const raw = this.read(at);
      if (raw?.symbolicTarget !== undefined) at = raw.symbolicTarget;
      else if (at === HEAD) throw new FallBackToGit('HEAD is not symbolic');
      else return at;
    }
    throw new FallBackToGit('HEAD leads through too many symbolic references');
  }

  /** Reports whether there is any branch. @throws as `referenceBackend`. */
  hasBranch(): boolean {
    this.requireFiles();
    this.read(HEAD); // a broken one makes the repository one that git refuses
    const isPacked = this.#packed.read(this.#repository.path, (source) => {
      requireSorted(source);
      return firstPackedRef(source, BRANCHES) !== undefined;
    });
    return isPacked === true || this.#hasLooseBranch();
  }

  #followAnew(name: RefName): ResolvedRef | undefined {
    const watch = this.#resolved.watch(this.#repository.path, name.toString('latin1'));
    const ref = this.#followChain(name, watch);
    watch.found(ref);
    return ref;
  }

  #followChain(name: RefName, watch: ResolvedRefWatch): ResolvedRef | undefined {
    let at = name;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
      watch.before(at);
      const raw = this.read(at);
      if (raw === undefined) return undefined;
      if (raw.oid !== undefined) return { name: at, oid: raw.oid };
      at = raw.symbolicTarget;
    }
    return undefined;
  }

  #hasLooseBranch(): boolean {
    const waiting = [BRANCHES];
    let seen = 0;
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      for (const entry of entriesOf(this.#repository.path, directory)) {
        if (++seen > MAX_ENTRIES) throw new FallBackToGit('there are very many loose references');
        const name = Buffer.concat([directory, entry.name]);
        if (entry.isDirectory()) waiting.push(Buffer.concat([name, Buffer.from('/')]));
        else if (isRefName(name)) {
          const raw = readLooseRef(this.#repository.path, name);
          if (raw?.symbolicTarget !== undefined) throw new FallBackToGit('a branch is symbolic');
          if (raw !== undefined) return true;
        }
      }
    }
    return false;
  }
}
