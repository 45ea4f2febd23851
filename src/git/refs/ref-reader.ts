import { checkNul } from '../command/git-command.ts';
import { FallBackToGit, fallBackOnFailure, type InProcessName } from '../command/in-process.ts';
import { SHORT_OID_SOURCE } from '../names/object-id.ts';
import {
  bytesOfName,
  HEAD,
  isRefName,
  parseRefName,
  type RefName,
  trustedRefName,
  type UncheckedRefName,
} from '../names/ref-name.ts';
import type { ReadableRepository } from '../objects/readable-repository.ts';
import type { ReferenceBackend } from '../repository-files/repository-format.ts';
import type { RefQuery } from './git/for-each-ref.ts';
import { GitRefs, type RefReadOptions } from './git/git-refs.ts';
import { type AdvertisedRefsQuery, advertisedRefs } from './list/advertised-refs.ts';
import { type ListRefsOptions, listRefs } from './list/list-refs.ts';
import { refChecksum } from './list/ref-checksum.ts';
import type { RefCaches } from './resolve/ref-caches.ts';
import { type RefWatch, watchRefs } from './resolve/ref-watch.ts';
import { StoredRefs } from './resolve/stored-refs.ts';
import type { RawRef } from './storage/files/loose-ref.ts';
import { MAX_SYMBOLIC_DEPTH } from './storage/follow-ref.ts';
import type { ListedRef } from './storage/listed-ref.ts';
import type { ResolvedRef } from './storage/resolved-refs.ts';

const DEFAULT_NAMES = ['refs/heads/main', 'refs/heads/master'].map((name) =>
  trustedRefName(Buffer.from(name)),
);

// Made once, because names are resolved in every call.
/** A name as `git describe` prints it. */
const ENDS_WITH_ID = /-g[0-9a-f]+$/i;
const ID_IN_NAME = new FallBackToGit('the name may be one of git describe');
/** Matches names that can only be those of references, in a revision. */
const REFERENCE = new RegExp(String.raw`^(?!${SHORT_OID_SOURCE}$)[A-Za-z0-9][^^~:@{}\\ *?[]{0,300}$`, 's');
const NO_REFERENCE = new FallBackToGit('there is no such reference');

/**
 * Reads the references of one repository: in process where git's files are usual ones, else through
 * git (worktrees, unusual or damaged files). Cheap to make; holds nothing. Both paths return the
 * same; a test compares them.
 */
export class RefReader {
  readonly #caches: RefCaches;
  readonly #repository: ReadableRepository;
  readonly #stored: StoredRefs;

  constructor(caches: RefCaches, repository: ReadableRepository) {
    this.#caches = caches;
    this.#repository = repository;
    this.#stored = new StoredRefs(caches, repository);
  }

  /** Storage format of the references. @throws when the config file cannot be read. */
  get backend(): ReferenceBackend {
    return this.#repository.referenceBackend;
  }

  /**
   * Returns the contents of a reference, not followed; `undefined` when it does not exist or has an
   * impossible name. The object is not looked up.
   *
   * @throws {GitExitError} when git finds the reference or the repository broken.
   */
  async read(name: UncheckedRefName, options: RefReadOptions = {}): Promise<RawRef | undefined> {
    const checked = parseRefName(name);
    if (checked === undefined) return undefined;
    return await this.#attempt(
      'read_ref',
      () => this.#stored.read(checked),
      () => this.#git.read(checked, options),
    );
  }

  /**
   * Resolves a reference to an object id; `undefined` if it does not exist, has an impossible name,
   * is dangling or circular.
   */
  async resolve(name: UncheckedRefName, options: RefReadOptions = {}): Promise<ResolvedRef | undefined> {
    const checked = parseRefName(name);
    if (checked === undefined) return undefined;
    return await this.#attempt(
      'resolve_ref',
      () => this.#stored.resolve(checked),
      () => this.#follow(checked, options),
    );
  }

  /**
   * Reports whether a change of a reference may add to a reflog although no setting asks for it.
   *
   * @throws {FallBackToGit} when only git can determine it.
   */
  mayLog(name: RefName): boolean {
    return this.#stored.storage.mayLog(name);
  }

  /**
   * Returns the reference that git takes a name for in a revision (`main`, `tags/v1`, `HEAD`),
   * without git and without waiting; `undefined` also when only git can determine it.
   *
   * @param name one character per byte.
   */
  resolveShortNow(name: string): ResolvedRef | undefined {
    return this.#repository.inProcess.attemptNow(
      'resolve_name',
      () => this.#resolveShort(name),
      () => undefined,
    );
  }

  /**
   * Returns the reference that `git rev-parse` takes a name for without a warning; `undefined` when
   * it may be ambiguous or something else than a reference.
   *
   * @param name one character per byte.
   */
  resolveUnambiguousNow(name: string): ResolvedRef | undefined {
    return this.#repository.inProcess.attemptNow(
      'resolve_name',
      () => {
        const resolved = REFERENCE.test(name) ? this.#stored.resolveUnambiguous(name) : undefined;
        if (resolved === undefined) throw NO_REFERENCE;
        return resolved;
      },
      () => undefined,
    );
  }

  /**
   * Reports whether git takes a name below `refs/` that no reference has for something else:
   * another reference (`refs/heads/refs/tags/v1`), or the commit whose id it ends with
   * (`refs/tags/v1-2-g1234567`). `undefined` when only git can determine it.
   */
  isCompletedNow(name: RefName): boolean | undefined {
    const text = name.toString('latin1');
    return this.#repository.inProcess.attemptNow(
      'resolve_name',
      () => {
        if (ENDS_WITH_ID.test(text)) throw ID_IN_NAME;
        return this.#stored.isCompleted(text);
      },
      () => undefined,
    );
  }

  /** Returns what HEAD holds, not followed. @throws {GitExitError} when there is no usable HEAD. */
  async head(options: RefReadOptions = {}): Promise<RawRef> {
    const raw = await this.read(HEAD, options);
    return raw ?? { symbolicTarget: await this.#git.symbolicTarget(HEAD, options) };
  }

  /**
   * Returns the reference that HEAD names, at the end of the chain of symbolic ones; it need not
   * exist.
   *
   * @throws {GitExitError} `exit status 128` when HEAD is not symbolic, points outside `refs/`, or
   *   is broken.
   */
  async headTarget(options: RefReadOptions = {}): Promise<RefName> {
    return await this.#attempt(
      'head_target',
      () => this.#stored.headTarget(),
      () => this.#git.symbolicTarget(HEAD, options),
    );
  }

  /**
   * Reports whether a reference exists, as `git show-ref --verify` does: by its exact name,
   * symbolic ones followed, and with its object.
   *
   * @throws {GitExitError} `exit status 128` when its object is missing; {GitalyError} without a
   *   code for a NUL in the name.
   */
  async exists(name: UncheckedRefName, options: RefReadOptions = {}): Promise<boolean> {
    const bytes = bytesOfName(name);
    checkNul('show-ref', bytes);
    const checked = parseRefName(bytes);
    if (checked === undefined) return false;
    return await this.#attempt(
      'ref_exists',
      async () => {
        const resolved = this.#stored.resolve(checked);
        if (resolved === undefined) return false;
        if (await this.#hasObject(resolved.oid, options)) return true;
        throw new FallBackToGit('an object is missing');
      },
      () => this.#git.exists(checked, options),
    );
  }

  /** Reports whether there is any branch. @throws {GitExitError} when the repository is broken. */
  async hasBranches(options: RefReadOptions = {}): Promise<boolean> {
    return await this.#attempt(
      'has_branches',
      () => this.#stored.hasBranch(),
      async () => (await this.#git.firstBranch(options)) !== undefined,
    );
  }

  /**
   * Returns the branch that a visitor sees first: what HEAD names if it exists, else
   * `refs/heads/main`, `refs/heads/master`, the first branch; `undefined` in a repository without
   * branches.
   *
   * @throws {GitExitError} when HEAD is unusable (see {@link headTarget}).
   */
  async defaultBranch(options: RefReadOptions = {}): Promise<Buffer | undefined> {
    return await this.#attempt(
      'default_branch',
      () => this.#storedDefault(),
      async () => {
        for (const candidate of [await this.headTarget(options), ...DEFAULT_NAMES])
          if ((await this.resolve(candidate, options)) !== undefined) return candidate;
        return await this.#git.firstBranch(options);
      },
    );
  }

  /**
   * Lists references as `git for-each-ref` does, in batches as they are found; nothing is read
   * before the first `next`.
   *
   * @throws {GitalyError} at once, for words that git must not see; {GitExitError} while iterating,
   *   when git fails.
   */
  list(query: RefQuery, options: ListRefsOptions = {}): AsyncGenerator<ListedRef[], void> {
    return listRefs({ repository: this.#repository, stored: this.#stored }, query, options);
  }

  /**
   * Follows a reference as {@link list} would: one that is broken or leads nowhere is none.
   *
   * @param name is no pattern.
   */
  async find(name: Buffer, options: RefReadOptions = {}): Promise<ListedRef | undefined> {
    if (!isRefName(name)) return undefined;
    return await this.#attempt(
      'find_ref',
      () => {
        const resolved = this.#stored.requirePlain().follow(name);
        return resolved && { name, oid: resolved.oid, peeledOid: undefined, isPeelKnown: false };
      },
      async () => {
        for await (const [ref] of this.list({ patterns: [name], limit: 1 }, options))
          return ref?.name.equals(name) === true ? ref : undefined;
        return undefined;
      },
    );
  }

  /**
   * Returns the packets that answer `ls-refs` of git's protocol v2, in pieces that must not be
   * changed. For use inside an attempt.
   *
   * @throws {FallBackToGit} when only git knows the answer; when the config file cannot be read.
   */
  async advertise(query: AdvertisedRefsQuery, { signal }: RefReadOptions = {}): Promise<Buffer[]> {
    const [repository, { peeler }] = [this.#repository, this.#caches];
    if (repository.format.objectFormat === undefined) throw new FallBackToGit('the object format is unknown');
    const parts = {
      repository,
      view: await this.#stored.storage.advertised({ peel: query.peel }),
      peel: (oid: string) => peeler.peel(repository.objects, oid, { signal }),
    };
    return await advertisedRefs(parts, query);
  }

  /**
   * Returns the exclusive or of the SHA-1 hashes of the references that belong to a repository's
   * checksum, 20 bytes. For use inside an attempt. @throws as {@link refChecksum}.
   */
  async checksum(options: RefReadOptions = {}): Promise<Buffer> {
    return await refChecksum(this.#repository, this.#stored, options);
  }

  /**
   * Notes the state of the references before they are listed. Returns undefined where they are not
   * read in process, or changed recently.
   */
  watch(): RefWatch | undefined {
    const { inProcess, path } = this.#repository;
    return inProcess.isEnabled && this.backend !== 'other' ? watchRefs(path) : undefined;
  }

  /** Made when needed: most questions need none. */
  get #git(): GitRefs {
    return new GitRefs(this.#repository);
  }

  #attempt<T>(name: InProcessName, answer: () => T | Promise<T>, askGit: () => T | Promise<T>): Promise<T> {
    return this.#repository.inProcess.attempt(name, answer, askGit);
  }

  async #hasObject(oid: string, options: RefReadOptions): Promise<boolean> {
    try {
      return (await this.#repository.objects.info(oid, options)) !== undefined;
    } catch (error) {
      return fallBackOnFailure(error);
    }
  }

  #resolveShort(name: string): ResolvedRef {
    const isFull = name === 'HEAD' || name.startsWith('refs/');
    const resolved = isFull ? this.#resolveFull(name) : this.#stored.resolveShort(name);
    if (resolved !== undefined) return resolved;
    throw NO_REFERENCE;
  }

  #resolveFull(name: string): ResolvedRef | undefined {
    const checked = parseRefName(Buffer.from(name, 'latin1'));
    return checked && this.#stored.resolve(checked);
  }

  #storedDefault(): Buffer | undefined {
    const head = this.#stored.resolve(HEAD);
    if (head !== undefined && !head.name.equals(HEAD)) return head.name;
    for (const candidate of [this.#stored.headTarget(), ...DEFAULT_NAMES])
      if (this.#stored.resolve(candidate) !== undefined) return candidate;
    if (!this.#stored.hasBranch()) return undefined;
    throw new FallBackToGit('the first branch is requested');
  }

  async #follow(name: RefName, options: RefReadOptions): Promise<ResolvedRef | undefined> {
    let at = name;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
      const raw = await this.read(at, options);
      if (raw === undefined) return undefined;
      if (raw.oid !== undefined) return { name: at, oid: raw.oid };
      at = raw.symbolicTarget;
    }
    return undefined;
  }
}
