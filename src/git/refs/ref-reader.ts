import { existsSync, readdirSync } from 'node:fs';
import { systemErrorCode } from '#base/system-error';
import { GitExitError } from '../command/exit-error.ts';
import { checkNul, flag, gitCommand, value } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { ReferenceBackend } from '../object-format.ts';
import type { GitRepository } from '../repository.ts';
import { type AdvertisedRefsQuery, advertisedRefs } from './advertised-refs.ts';
import type { RefQuery } from './for-each-ref.ts';
import { type ListOptions, listRefs } from './list-refs.ts';
import type { ListedRef } from './listed-ref.ts';
import { type RawRef, readLooseRef } from './loose-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { findPackedRef, firstPackedRef, isSorted } from './packed-refs.ts';
import type { PackedRefsCache } from './packed-refs-cache.ts';
import type { RefCaches } from './ref-caches.ts';
import type { ResolvedRef, ResolvedRefs, ResolvedRefWatch } from './resolved-refs.ts';
import { validateReference } from './validate-reference.ts';

/** A full reference name (`refs/heads/main`, `HEAD`); bytes as they are, a string stands for its UTF-8. */
export type RefName = string | Uint8Array;

export interface RefReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** References that git reads at most to get to the end of a chain of symbolic ones. */
const MAX_SYMBOLIC_DEPTH = 5;
/** Entries of `refs/heads` that are looked at for a first branch before git is asked. */
const MAX_WALK = 1_000;

/** Where git looks for a short name first, in its order. Behind these come remotes, which are git's to find. */
const SHORT_NAMES_OF = ['refs/', 'refs/tags/', 'refs/heads/'];
const BRANCHES = Buffer.from('refs/heads/');
const HEAD = Buffer.from('HEAD');

/**
 * Reads the references of one repository: from the files where they are plain files, through git where they are not (reftable,
 * worktrees, anything odd). Cheap to make; holds nothing. Answers agree with git's; a test compares them.
 */
export class RefReader {
  readonly #git: Git;
  readonly #packed: PackedRefsCache;
  readonly #resolved: ResolvedRefs;
  readonly #caches: RefCaches;
  readonly #repository: GitRepository;

  constructor(git: Git, caches: RefCaches, repository: GitRepository) {
    this.#git = git;
    this.#packed = caches.packed;
    this.#resolved = caches.resolved;
    this.#caches = caches;
    this.#repository = repository;
  }

  /** How the repository keeps its references. @throws when its config file cannot be read. */
  get backend(): ReferenceBackend {
    return this.#git.referenceBackend(this.#repository);
  }

  /**
   * What a reference holds, not followed; `undefined` when it does not exist or has a name that cannot exist. Whether an object of
   * that id exists is not looked at.
   *
   * @throws {GitExitError} when git finds the reference or the repository broken.
   */
  async read(name: RefName, options: RefReadOptions = {}): Promise<RawRef | undefined> {
    const bytes = bytesOf(name);
    if (!isReadable(bytes)) return undefined;
    const raw = this.backend === 'files' ? this.#readFiles(bytes) : 'odd';
    return raw === 'odd' ? await this.#readWithGit(bytes, options) : raw;
  }

  /** Follows a reference to an object id; `undefined` when it does not exist, leads nowhere or in a circle. */
  async resolve(name: RefName, options: RefReadOptions = {}): Promise<ResolvedRef | undefined> {
    let at: Buffer = bytesOf(name);
    const resolved = this.#resolvePlain(at);
    if (resolved !== 'odd') return resolved;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
      const raw = await this.read(at, options);
      if (raw === undefined) return undefined;
      if (raw.oid !== undefined) return { name: at, oid: raw.oid };
      at = raw.symbolicTarget;
    }
    return undefined;
  }

  /**
   * What git takes a name for in a revision (`main`, `tags/v1`, `refs/heads/main`, `HEAD`), without asking git and without waiting:
   * `undefined` also when only git could tell.
   *
   * @param name one character per byte.
   */
  resolveShortNow(name: string): ResolvedRef | undefined {
    const isFull = name === 'HEAD' || name.startsWith('refs/');
    // git takes any file of its directory for a reference before it looks further.
    if (!isFull && existsSync(`${this.#repository.path}/${name}`)) return undefined;
    for (const prefix of isFull ? [''] : SHORT_NAMES_OF) {
      const resolved = this.#resolvePlain(Buffer.from(prefix + name, 'latin1'));
      if (resolved !== undefined) return resolved === 'odd' ? undefined : resolved;
    }
    return undefined;
  }

  /** What HEAD holds, not followed. @throws {GitExitError} when there is no usable HEAD. */
  async head(options: RefReadOptions = {}): Promise<RawRef> {
    const raw = await this.read(HEAD, options);
    return raw ?? { symbolicTarget: await this.#symbolicRef(HEAD, options) };
  }

  /**
   * The reference that HEAD names, at the end of the chain of symbolic ones; it need not exist.
   *
   * @throws {GitExitError} `exit status 128` when HEAD is not symbolic, points outside `refs/`, or is broken.
   */
  async headTarget(options: RefReadOptions = {}): Promise<Buffer> {
    let at: Buffer = HEAD;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH && this.backend === 'files'; depth++) {
      const raw = this.#readFiles(at);
      if (raw === 'odd') break;
      if (raw?.symbolicTarget !== undefined) at = raw.symbolicTarget;
      else if (at === HEAD) break;
      else return at;
    }
    return await this.#symbolicRef(HEAD, options);
  }

  /**
   * Whether a reference exists, as `git show-ref --verify` sees it: by its exact name, symbolic ones followed, and its object is
   * looked at.
   *
   * @throws {GitExitError} `exit status 128` when its object is missing; {GitalyError} without a code for a NUL in the name.
   */
  async exists(name: RefName, options: RefReadOptions = {}): Promise<boolean> {
    const bytes = bytesOf(name);
    checkNul('show-ref', bytes);
    const resolved = this.#resolvePlain(bytes);
    if (resolved === undefined) return false;
    // A reader that cannot look at the object leaves the word to git.
    const reader = this.#git.objects(this.#repository);
    if (resolved !== 'odd' && (await reader.info(resolved.oid, options).catch(() => undefined)) !== undefined) return true;
    const showRef = gitCommand('show-ref', { options: [flag('--verify'), flag('--quiet')], args: [bytes] });
    return (await this.#succeeds(showRef, 1, options)) !== undefined;
  }

  /** Whether there is any branch. @throws {GitExitError} when the repository is broken. */
  async hasBranches(options: RefReadOptions = {}): Promise<boolean> {
    if (this.backend === 'files' && this.#readFiles(HEAD) !== 'odd') {
      const packed = this.#packed.read(this.#repository.path, (source) =>
        isSorted(source) ? firstPackedRef(source, BRANCHES) !== undefined : 'odd',
      );
      if (packed === true) return true;
      if (packed !== 'odd') {
        const loose = this.#hasLooseBranch();
        if (loose !== 'odd') return loose;
      }
    }
    const output = await this.#git.run(firstBranchCommand(), { ...options, repository: this.#repository });
    return output.length > 0;
  }

  /**
   * The branch that a visitor sees first: what HEAD names if it exists, else `refs/heads/main`, `refs/heads/master`, the first
   * branch; `undefined` in a repository without branches.
   *
   * @throws {GitExitError} when HEAD is unusable (see {@link headTarget}).
   */
  async defaultBranch(options: RefReadOptions = {}): Promise<Buffer | undefined> {
    const head = this.#resolvePlain(HEAD);
    if (head !== undefined && head !== 'odd' && !head.name.equals(HEAD)) return head.name;
    const candidates = [await this.headTarget(options), Buffer.from('refs/heads/main'), Buffer.from('refs/heads/master')];
    for (const candidate of candidates) {
      if ((await this.resolve(candidate, options)) !== undefined) return candidate;
    }
    if (!(await this.hasBranches(options))) return undefined;
    const output = await this.#git.run(firstBranchCommand(), { ...options, repository: this.#repository });
    return output.length === 0 ? undefined : output.subarray(0, -1);
  }

  /**
   * Lists references as `git for-each-ref` does, in batches as they are at hand; nothing is read before the first `next`.
   *
   * @throws {GitalyError} at once, for words that git must not see; {GitExitError} while iterating, when git fails.
   */
  list(query: RefQuery, options: ListOptions = {}): AsyncGenerator<ListedRef[], void> {
    const parts = {
      git: this.#git,
      repository: this.#repository,
      packed: this.#packed,
      isPlain: () => this.#isPlain(),
      resolve: (name: Buffer) => this.#resolveFiles(name),
    };
    return listRefs(parts, query, options);
  }

  /**
   * Follows a reference as {@link list} would: one that is broken or leads nowhere is none. Found in the files, nothing is started.
   *
   * @param name is no pattern.
   */
  async find(name: Buffer, options: RefReadOptions = {}): Promise<ListedRef | undefined> {
    if (!isReadable(name)) return undefined;
    const resolved = this.#isPlain() ? this.#resolveFiles(name) : 'odd';
    if (resolved !== 'odd') return resolved && { name, oid: resolved.oid, peeledOid: undefined, isPeelKnown: false };
    for await (const [ref] of this.list({ patterns: [name], limit: 1 }, options))
      return ref?.name.equals(name) === true ? ref : undefined;
    return undefined;
  }

  /**
   * The packets that answer `ls-refs` of git's protocol v2, in pieces that must not be changed; `undefined` when only git knows the answer.
   *
   * @throws when the repository's config file cannot be read; what the file system says.
   */
  async advertise(query: AdvertisedRefsQuery, { signal }: RefReadOptions = {}): Promise<Buffer[] | undefined> {
    const [repository, { lines, peeler }] = [this.#repository, this.#caches];
    const { objectFormat, referenceBackend } = this.#git.repositoryFormat(repository);
    if (objectFormat === undefined || referenceBackend !== 'files') return undefined;
    const digits = objectFormat === 'sha1' ? 40 : 64;
    const parts = {
      repository,
      read: (name: Buffer) => this.#readFiles(name),
      resolve: (name: Buffer) => this.#resolveFiles(name),
      packedLines: ({ peel }: { peel: boolean }) => lines.get(repository, { digits, peel }),
      peel: (oid: string) => peeler.peel(repository, this.#git.objects(repository), oid, { signal }),
    } as const;
    try {
      return await advertisedRefs(parts, query);
    } catch (error) {
      if (error instanceof OddReferencesError) return undefined;
      throw error;
    }
  }

  /** Whether the references are plain files, in a repository that git would work with. */
  #isPlain(): boolean {
    try {
      if (this.backend !== 'files') return false;
      const resolved = this.#resolveFiles(HEAD);
      if (resolved !== undefined) return resolved !== 'odd';
      const head = this.#readFiles(HEAD);
      return head !== undefined && head !== 'odd';
    } catch {
      // No config file, no access: git says what is wrong.
      return false;
    }
  }

  /** Reads a reference from loose files, else from packed-refs; the order matters: packing writes the latter first. */
  #readFiles(name: Buffer): RawRef | 'odd' | undefined {
    const loose = readLooseRef(this.#repository.path, name);
    if (loose !== undefined) return loose;
    const oid = this.#packed.read(this.#repository.path, (source) => (isSorted(source) ? findPackedRef(source, name) : 'odd'));
    if (oid === undefined) return undefined;
    return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(oid) && !/^0+$/.test(oid) ? { oid } : 'odd';
  }

  /** Follows a reference of any name as {@link resolve} does; `odd` where only git could tell. */
  #resolvePlain(name: Buffer): ResolvedRef | 'odd' | undefined {
    const known = this.#resolved.find(this.#repository.path, name);
    // Its files are as they were, so references are still kept in files.
    if (known?.ref !== undefined) return known.ref;
    if (known === undefined && !isReadable(name)) return undefined;
    if (this.backend !== 'files') return 'odd';
    return known === undefined ? this.#resolveAnew(name) : known.ref;
  }

  #resolveFiles(name: Buffer): ResolvedRef | 'odd' | undefined {
    const known = this.#resolved.find(this.#repository.path, name);
    return known === undefined ? this.#resolveAnew(name) : known.ref;
  }

  #resolveAnew(name: Buffer): ResolvedRef | 'odd' | undefined {
    const watch = this.#resolved.watch(this.#repository.path, name);
    const ref = this.#follow(name, watch);
    if (ref !== 'odd') watch.found(ref);
    return ref;
  }

  #follow(name: Buffer, watch: ResolvedRefWatch): ResolvedRef | 'odd' | undefined {
    let at: Buffer = name;
    for (let depth = 0; depth < MAX_SYMBOLIC_DEPTH; depth++) {
      watch.before(at);
      const raw = this.#readFiles(at);
      if (raw === undefined || raw === 'odd') return raw;
      if (raw.oid !== undefined) return { name: at, oid: raw.oid };
      at = raw.symbolicTarget;
    }
    return undefined;
  }

  /** Whether a loose file below refs/heads is a branch; `odd` when one is met that git has to judge, or there are very many. */
  #hasLooseBranch(): boolean | 'odd' {
    const waiting = [BRANCHES];
    let seen = 0;
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      for (const entry of entriesOf(this.#repository.path, directory)) {
        seen++;
        if (seen > MAX_WALK) return 'odd';
        const name = Buffer.concat([directory, entry.name]);
        if (entry.isDirectory()) waiting.push(Buffer.concat([name, Buffer.from('/')]));
        else if (validateReference(name) === undefined) {
          const raw = readLooseRef(this.#repository.path, name);
          if (raw === 'odd' || raw?.symbolicTarget !== undefined) return 'odd';
          if (raw !== undefined) return true;
        }
      }
    }
    return false;
  }

  async #readWithGit(name: Buffer, options: RefReadOptions): Promise<RawRef | undefined> {
    const symbolic = gitCommand('symbolic-ref', { options: [flag('--quiet')], args: [name] });
    const target = await this.#succeeds(symbolic, 1, options);
    if (target !== undefined) return { symbolicTarget: target.subarray(0, -1) };
    const showRef = gitCommand('show-ref', { options: [flag('--verify'), flag('--quiet')], args: [name] });
    if ((await this.#succeeds(showRef, 1, options)) === undefined) return undefined;
    const revParse = gitCommand('rev-parse', { options: [flag('--verify')], revisions: [name] });
    const output = await this.#git.run(revParse, { ...options, repository: this.#repository });
    return { oid: output.toString('latin1').trim() };
  }

  async #symbolicRef(name: Buffer, options: RefReadOptions): Promise<Buffer> {
    const command = gitCommand('symbolic-ref', { args: [name] });
    const output = await this.#git.run(command, { ...options, repository: this.#repository, hooks: 'disabled' });
    return output.subarray(0, -1);
  }

  /** The output of a command; `undefined` when it ends with the exit code that means "no". */
  async #succeeds(command: ReturnType<typeof gitCommand>, no: number, options: RefReadOptions): Promise<Buffer | undefined> {
    try {
      return await this.#git.run(command, { ...options, repository: this.#repository, hooks: 'disabled' });
    } catch (error) {
      if (error instanceof GitExitError && error.exitCode === no) return undefined;
      throw error;
    }
  }
}

function firstBranchCommand(): ReturnType<typeof gitCommand> {
  return gitCommand('for-each-ref', { options: [value('--count', 1), flag('--format=%(refname)')], args: [BRANCHES] });
}

/** HEAD, or a name that git would accept for a reference. Nothing else is ever looked for in the file system. */
function isReadable(name: Buffer): boolean {
  return name.equals(HEAD) || validateReference(name) === undefined;
}

function entriesOf(gitDirectory: string, directory: Buffer) {
  try {
    return readdirSync(Buffer.concat([Buffer.from(`${gitDirectory}/`), directory]), { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    // Git removes directories that become empty.
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}

function bytesOf(name: RefName): Buffer {
  return typeof name === 'string' ? Buffer.from(name) : Buffer.from(name.buffer, name.byteOffset, name.byteLength);
}
