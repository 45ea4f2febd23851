import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import type { CallersLimit } from '#base/limits/limit';
import { BoundedMap } from '#base/memory/bounded-map';
import type { RefWatch } from '#git/refs/resolve/ref-watch';
import { PACKED_REFS_HEADER } from '#git/refs/storage/files/packed-refs';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { GitRepository } from '#git/repository';
import { createRepository } from '#storage/lifecycle/create-repository';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import { DIRECTORY_MODE } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import { adoptObjects } from '../object-pool/adopt-objects.ts';
import { InvalidPoolError } from '../object-pool/open-pool.ts';
import { joinPool } from '../object-pool/pool-membership.ts';
import { isWhole, linkWhole, replaceByLink } from './shared-file.ts';
import { removeOldReferences, sharedReferences } from './shared-references.ts';
import { NewConfigs, writeSkeleton } from './skeleton.ts';
import { createSourcePool, findSourcePool } from './source-pool.ts';

/** Number of sources whose state is kept; each may take 30 KB. */
const MAX_KNOWN = 200;

/** Directory of a pool with files that forks share. */
const SHARED = 'gitaly-ts-forks';
const ALL = ['refs/heads/', 'refs/tags/'].map((prefix) => Buffer.from(prefix));
const BRANCHES = 'refs/heads/';

/** Files that make a repository another one than its references and objects show. */
const UNUSUAL = ['shallow', 'info/grafts', 'commondir'];

interface WrittenReferences {
  /** SHA-256. */
  readonly hash: string;
  readonly bytes: number;
}

/** The state of a source at its last fork. */
interface Known extends WrittenReferences {
  readonly poolPath: string;
  /** `undefined` if the references had just changed. */
  readonly watch: RefWatch | undefined;
}

interface BorrowOptions {
  /** Full name of the only branch to copy; `undefined` for all branches and tags. */
  readonly branch: Buffer | undefined;
  readonly signal: AbortSignal;
}

const FILE_MODE = 0o644;

interface WriteReferencesOptions {
  /** Prefixes or full names of the references. */
  readonly patterns: readonly Buffer[];
  readonly signal: AbortSignal;
}

/**
 * Makes forks that borrow all objects from the object pool of their source, so that neither their
 * time nor their space depends on its size. A source without a pool gets one of hard links: its
 * first fork takes as long as to link its files of objects.
 */
export class LinkedForks {
  readonly #storages: Storages;
  readonly #configs = new NewConfigs();
  readonly #known = new BoundedMap<string, Known>({ maxEntries: MAX_KNOWN });
  /** One fork of a source at a time adds objects to its pool. */
  readonly #turns: CallersLimit;

  /** @param turns gives one caller at a time a turn, in all processes of the server. */
  constructor(storages: Storages, turns: CallersLimit) {
    this.#storages = storages;
    this.#turns = turns;
  }

  /**
   * Creates a fork with the branches and tags of its source, or with one branch.
   *
   * @returns false if nothing was done because the source cannot be forked in this way: it is on
   *   another storage; it is a pool, shallow, without the branch, or has a detached HEAD; it
   *   borrows objects from something else than a pool; new repositories use reftables.
   * @throws {GitalyError} as `createRepository` and, for the source, `Storages.open`; ABORTED when
   *   the pool is deleted meanwhile.
   */
  async create(
    target: RepositoryTarget | undefined,
    sourceTarget: RepositoryTarget,
    options: BorrowOptions,
  ): Promise<boolean> {
    const location = this.#storages.locate(target);
    if (location.storage.name !== sourceTarget.storageName) return false;
    const source = this.#storages.open(sourceTarget);
    const { branch, signal } = options;
    const config = await this.#configs.like(source, signal);
    const head = branch ?? (await branchOfHead(source, signal));
    if (config === undefined || head === undefined || !(await this.#isForkable(source, branch))) return false;

    await using joining = new AsyncDisposableStack();
    const seed = async (draft: Repository): Promise<void> => {
      mkdirSync(draft.path, { mode: DIRECTORY_MODE });
      const pool = await this.#borrow(draft, source, options);
      const shared = `${pool.path}/${SHARED}`;
      const finalPath = location.path;
      const sharesHead = branch === undefined;
      await writeSkeleton(draft.path, { config, head, sharesHead, pool, shared, finalPath });
      joining.use(await joinPool(pool, { signal }).catch(poolDeleted));
    };
    await createRepository(this.#storages, target, { init: 'none', seed, signal });
    return true;
  }

  async #isForkable(source: Repository, branch: Buffer | undefined): Promise<boolean> {
    if (isPoolPath(source.relativePath)) return false;
    if (branch !== undefined && (await source.refs.resolve(branch)) === undefined) return false;
    for (const name of UNUSUAL)
      if (lstatSync(`${source.path}/${name}`, { throwIfNoEntry: false }) !== undefined) return false;
    // The repository has alternates that are not a pool.
    return await findSourcePool(this.#storages, source).then(
      () => true,
      () => false,
    );
  }

  /** Writes the references of a fork, and returns a pool that has all their objects. */
  async #borrow(draft: Repository, source: Repository, options: BorrowOptions): Promise<Repository> {
    const turn = await this.#turns.acquire(source.path, options);
    try {
      const pool = await findSourcePool(this.#storages, source);
      const known = this.#known.get(source.path);
      const isCurrent = known !== undefined && known.poolPath === pool?.path && known.watch?.isUnchanged();
      if (pool !== undefined && isCurrent === true && options.branch === undefined) {
        const template = sharedReferences(`${pool.path}/${SHARED}`, known.hash);
        if (await linkWhole(template, `${draft.path}/packed-refs`, known.bytes)) return pool;
      }
      return await this.#readSource(draft, { source, pool }, options);
    } finally {
      turn.release();
    }
  }

  /** References are read before objects: objects of later references may be missing. */
  async #readSource(
    draft: Repository,
    { source, pool: existing }: { source: Repository; pool: Repository | undefined },
    { branch, signal }: BorrowOptions,
  ): Promise<Repository> {
    const watch = source.refs.watch();
    const references = `${draft.path}/packed-refs`;
    const patterns = branch === undefined ? ALL : [branch];
    const { hash, bytes } = await writeReferences(source, references, { patterns, signal });
    const pool = existing ?? (await createSourcePool(this.#storages, source, { references, signal }));
    const shared = `${pool.path}/${SHARED}`;
    const template = sharedReferences(shared, hash);
    // The pool got their objects before.
    const isKnown = await isWhole(template, bytes);
    if (existing !== undefined && !isKnown)
      await adoptObjects(source.objectDirectory, pool.objectDirectory, signal);
    if (branch !== undefined) return pool;
    if (isKnown) {
      await replaceByLink(template, references);
    } else {
      mkdirSync(shared, { recursive: true, mode: DIRECTORY_MODE });
      await replaceByLink(references, template);
      await removeOldReferences(shared);
    }
    this.#known.set(source.path, { poolPath: pool.path, hash, bytes, watch });
    return pool;
  }
}

function poolDeleted(error: unknown): never {
  if (!(error instanceof InvalidPoolError)) throw error;
  throw new GitalyError('ABORTED', 'the object pool of the source was deleted', { cause: error });
}

/** Returns the branch that HEAD names, which need not exist; `undefined` if it names none. */
async function branchOfHead(source: Repository, signal: AbortSignal): Promise<Buffer | undefined> {
  const head = await source.refs.head({ signal });
  const target = head.symbolicTarget;
  return target?.toString('latin1').startsWith(BRANCHES) === true ? target : undefined;
}

/**
 * Writes references of a repository into a new file in the format of `packed-refs`. Symbolic ones
 * get the value of their target.
 *
 * @throws {GitExitError} when git finds the references broken; the file is then incomplete.
 */
async function writeReferences(
  source: GitRepository,
  path: string,
  { patterns, signal }: WriteReferencesOptions,
): Promise<WrittenReferences> {
  let count = 0;
  const hash = createHash('sha256');
  await using file = await open(path, 'wx', FILE_MODE);
  const slice = new LoopSlice();
  const write = async (text: string): Promise<void> => {
    const bytes = Buffer.from(text, 'latin1');
    hash.update(bytes);
    count += bytes.length;
    await file.writeFile(bytes);
    await slice.pause(signal);
  };
  await write(PACKED_REFS_HEADER);
  for await (const refs of source.refs.list({ patterns }, { peel: true, signal }))
    if (refs.length > 0) await write(refs.map(lineOf).join(''));
  return { hash: hash.digest('hex'), bytes: count };
}

function lineOf({ name, oid, peeledOid }: ListedRef): string {
  const peeled = peeledOid === undefined ? '' : `^${peeledOid}\n`;
  return `${oid} ${name.toString('latin1')}\n${peeled}`;
}
