import { lstatSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { syncPath } from '#base/files/sync-path';
import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/command/in-process';
import { zeroOidLike } from '#git/names/object-id';
import type { RefName } from '#git/names/ref-name';
import type { GitRepository } from '#git/repository';
import {
  findPackedPosition,
  findPackedRef,
  firstPackedRef,
  isFullyPeeled,
  PACKED_REFS_HEADER,
  requireSorted,
} from '../storage/files/packed-refs.ts';
import { PackedRefsCache, type PackedRefsFile } from '../storage/files/packed-refs-cache.ts';
import { RefTransaction } from './ref-transaction.ts';

export interface NewRef {
  readonly name: RefName;
  readonly oid: string;
  /** The final target of a tag object; `undefined` for other objects. */
  readonly peeled: string | undefined;
}

/** Locks that are taken or removed at once: the number of threads of the pool, several times. */
const AT_ONCE = 64;
const COPY_BYTES = 1 << 20;
const FILE_MODE = 0o644;
/** Errors of a path that another reference, a lock or a directory is in the way of. */
const IN_THE_WAY = new Set(['EEXIST', 'EISDIR', 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

/**
 * Creates references in `packed-refs`, all or none, with one flush: a loose file for each takes one
 * flush each. Takes the locks of git for all of them and for the file, so that programs of git that
 * run meanwhile neither see a part of the change nor lose one of their own.
 *
 * The repository stores its references in files. The names are unique; the objects exist.
 *
 * @returns false if something is in the way of one of them: a reference, a lock, a directory, or a
 *   file that git does not write. None of them exists then, and git reports the reason.
 * @throws {RefUpdateError} if something came in the way after the change, and others have changed
 *   one of them since then.
 */
export async function createPackedRefs(
  repository: GitRepository,
  refs: readonly NewRef[],
  signal: AbortSignal,
): Promise<boolean> {
  const sorted = [...refs].sort((one, other) => Buffer.compare(one.name, other.name));
  try {
    if (await createUnderLocks(repository, sorted, signal)) return true;
  } catch (error) {
    if (error instanceof FallBackToGit || IN_THE_WAY.has(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
  await removeAgain(repository, sorted);
  return false;
}

/**
 * Creates references, and releases their locks.
 *
 * @returns false if meanwhile others may have created references below them: git takes no lock of
 *   the names above.
 * @throws {FallBackToGit}, the system's error: nothing has changed.
 */
async function createUnderLocks(
  repository: GitRepository,
  sorted: readonly NewRef[],
  signal: AbortSignal,
): Promise<boolean> {
  await using stack = new AsyncDisposableStack();
  const locks = stack.use(new RefLocks(repository.path));
  const lock = await locks.takeFile('packed-refs.lock');
  stack.defer(() => lock.close());
  await locks.takeAll(sorted, signal);
  using old = new PackedRefsCache().open(repository.path);
  await requireNoConflict(old, sorted, signal);
  const { changeRecorder } = repository;
  const names = sorted.map(({ name }) => name.toString('latin1'));
  const wanted = new Map(sorted.map(({ name, oid }) => [name.toString('latin1'), oid]));
  await using recording = await changeRecorder?.begin(repository, names, { isLocked: true, wanted });
  await writeMerged(lock, old, sorted, signal);
  await lock.sync();
  await rename(`${repository.path}/packed-refs.lock`, `${repository.path}/packed-refs`);
  locks.forget('packed-refs.lock');
  await syncPath(repository.path);
  // From now on git finds them before it creates one below them.
  if (await locks.areOvertaken(names)) return false;
  recording?.succeeded(wanted);
  return true;
}

/** Removes references that are not acknowledged, unless others have changed one. @throws as git. */
async function removeAgain(repository: GitRepository, refs: readonly NewRef[]): Promise<void> {
  await using transaction = await RefTransaction.start(repository);
  for (const { name, oid } of refs) await transaction.update(name, { newOid: zeroOidLike(oid), oldOid: oid });
  await transaction.commit();
}

const IN_USE = new FallBackToGit('a reference is in the way of a new one');

/** The lock files of a change. Disposing removes them, and the directories that were made for them. */
class RefLocks implements AsyncDisposable {
  readonly #path: string;
  readonly #files = new Set<string>();
  readonly #directories: string[] = [];
  readonly #known = new Set<string>();

  constructor(path: string) {
    this.#path = path;
  }

  /** Creates a lock. @throws {Error} EEXIST if it is taken. */
  async takeFile(file: string): Promise<FileHandle> {
    const handle = await open(this.#absolute(file), 'wx', FILE_MODE);
    this.#files.add(file);
    return handle;
  }

  /** Takes the locks of references that do not exist as files. */
  async takeAll(refs: readonly NewRef[], signal: AbortSignal): Promise<void> {
    for (let at = 0; at < refs.length; at += AT_ONCE) {
      signal.throwIfAborted();
      const some = refs.slice(at, at + AT_ONCE).map(({ name }) => name.toString('latin1'));
      for (const name of some) {
        await this.#makeDirectories(name.slice(0, name.lastIndexOf('/')));
        await this.#takeAbove(name);
      }
      // All have an end before the first failure is reported: none is taken after the clean-up.
      const taken = await Promise.allSettled(some.map((name) => this.#take(name)));
      for (const each of taken) if (each.status === 'rejected') throw each.reason;
    }
  }

  /** Reports whether others have made directories of names that were free when they were locked. */
  async areOvertaken(names: readonly string[]): Promise<boolean> {
    const slice = new LoopSlice();
    for (const name of names) {
      if (lstatSync(this.#absolute(name), { throwIfNoEntry: false }) !== undefined) return true;
      if (slice.isOverAfterItem()) await slice.pause();
    }
    return false;
  }

  /** Keeps a lock that has become another file. */
  forget(file: string): void {
    this.#files.delete(file);
  }

  async #take(name: string): Promise<void> {
    await (await this.takeFile(`${name}.lock`)).close();
    const stats = lstatSync(this.#absolute(name), { throwIfNoEntry: false });
    if (stats !== undefined) throw IN_USE;
  }

  /**
   * Takes the locks of names that a reference would be below: who holds one may be about to create
   * it. There are no references like `refs/heads`.
   */
  async #takeAbove(name: string): Promise<void> {
    for (const above of directoriesOf(name)) {
      if (above.lastIndexOf('/') === above.indexOf('/') || this.#files.has(`${above}.lock`)) return;
      await (await this.takeFile(`${above}.lock`)).close();
    }
  }

  async #makeDirectories(directory: string): Promise<void> {
    if (directory === '' || this.#known.has(directory)) return;
    await this.#makeDirectories(directory.slice(0, Math.max(0, directory.lastIndexOf('/'))));
    try {
      await mkdir(this.#absolute(directory));
      this.#directories.push(directory);
    } catch (error) {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    }
    this.#known.add(directory);
  }

  #absolute(file: string): Buffer {
    return Buffer.concat([Buffer.from(`${this.#path}/`), Buffer.from(file, 'latin1')]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#files];
    for (let at = 0; at < files.length; at += AT_ONCE)
      await Promise.all(
        files.slice(at, at + AT_ONCE).map((file) => rm(this.#absolute(file), { force: true })),
      );
    // A directory in which another process has created something meanwhile is not removed.
    for (const directory of this.#directories.reverse())
      await rmdir(this.#absolute(directory)).catch(() => {});
  }
}

/**
 * Checks that no packed reference has one of the names, or is above or below one of them.
 *
 * @throws {FallBackToGit}
 */
async function requireNoConflict(
  old: PackedRefsFile | undefined,
  refs: readonly NewRef[],
  signal: AbortSignal,
): Promise<void> {
  if (old !== undefined && old.source.size > 0) {
    requireSorted(old.source);
    if (!isFullyPeeled(old.source)) throw new FallBackToGit('packed-refs is not peeled');
  }
  const names = new Set(refs.map(({ name }) => name.toString('latin1')));
  const clear = new Set<string>();
  const slice = new LoopSlice();
  for (const { name } of refs) {
    await slice.pause(signal);
    for (const above of directoriesOf(name.toString('latin1'))) {
      if (clear.has(above)) break;
      if (names.has(above) || isPacked(old, above)) throw IN_USE;
      clear.add(above);
    }
    if (old === undefined) continue;
    const below = Buffer.concat([name, Buffer.from('/')]);
    if (findPackedRef(old.source, name) !== undefined) throw IN_USE;
    if (firstPackedRef(old.source, below) !== undefined) throw IN_USE;
  }
}

function isPacked(old: PackedRefsFile | undefined, name: string): boolean {
  return old !== undefined && findPackedRef(old.source, Buffer.from(name, 'latin1')) !== undefined;
}

/** Yields the names that a reference would be below, the nearest first. */
function* directoriesOf(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1))
    yield name.slice(0, end);
}

/** Writes the old lines and the new ones in the order of names. */
async function writeMerged(
  file: FileHandle,
  old: PackedRefsFile | undefined,
  refs: readonly NewRef[],
  signal: AbortSignal,
): Promise<void> {
  const size = old?.source.size ?? 0;
  let copied = 0;
  const copyTo = async (end: number): Promise<void> => {
    for (; old !== undefined && copied < end; ) {
      const bytes = await old.read(copied, Math.min(COPY_BYTES, end - copied));
      if (bytes.length === 0) throw new FallBackToGit('packed-refs ends early');
      await file.writeFile(bytes);
      copied += bytes.length;
    }
  };
  let lines: Buffer[] = size === 0 ? [Buffer.from(PACKED_REFS_HEADER)] : [];
  const flush = async (): Promise<void> => {
    if (lines.length > 0) await file.writeFile(Buffer.concat(lines));
    lines = [];
  };
  const slice = new LoopSlice();
  for (const ref of refs) {
    await slice.pause(signal);
    const position = old === undefined || size === 0 ? 0 : findPackedPosition(old.source, ref.name);
    if (position > copied) {
      await flush();
      await copyTo(position);
    }
    lines.push(lineOf(ref));
  }
  await flush();
  await copyTo(size);
}

function lineOf({ name, oid, peeled }: NewRef): Buffer {
  const end = peeled === undefined ? '\n' : `\n^${peeled}\n`;
  return Buffer.concat([Buffer.from(`${oid} `), name, Buffer.from(end)]);
}
