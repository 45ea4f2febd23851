import { type Dirent, existsSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { makeDirectorySync } from '#base/files/make-directory';
import { renameInto } from '#base/files/rename-into';
import { systemErrorCode } from '#base/go/system-error';
import type { Repository } from '../repository.ts';
import { createTempDirectory, removeTree, type TempDirectory } from '../temp-directories.ts';
import { quarantinePrefix } from './quarantine-path.ts';

/**
 * A directory for the objects of a change that may still be refused. Objects written through {@link
 * repository} are stored next to the repository's own, can refer to them, and are visible only to
 * programs that get the directory's path (GitLab, custom hooks).
 *
 *     await using quarantine = await Quarantine.create(repository);
 *     … write objects through quarantine.repository, run the checks …
 *     await quarantine.migrate();
 *
 * Disposing drops objects that were not migrated.
 */
export class Quarantine implements AsyncDisposable {
  /** The repository, writing to the quarantine. It cannot be used after {@link migrate}. */
  readonly repository: Repository;
  readonly #real: Repository;
  readonly #directory: TempDirectory;
  #isOver = false;

  private constructor(real: Repository, directory: TempDirectory) {
    this.#real = real;
    this.#directory = directory;
    this.repository = real.withObjectDirectories({
      objectDirectory: directory.path,
      alternateObjectDirectories: [real.objectDirectory, ...real.alternateObjectDirectories],
    });
  }

  /** Creates an empty quarantine on the file system of the repository. */
  static async create(repository: Repository): Promise<Quarantine> {
    return new Quarantine(
      repository,
      await createTempDirectory(repository.storage, quarantinePrefix(repository.relativePath)),
    );
  }

  /**
   * Creates an empty quarantine where `git receive-pack` creates its own: hooks get this path, and
   * git removes what a killed server leaves.
   */
  static async createInObjects(repository: Repository): Promise<Quarantine> {
    const path = await mkdtemp(`${repository.objectDirectory}/tmp_objdir-incoming-`);
    return new Quarantine(repository, { path, [Symbol.asyncDispose]: () => removeTree(path) });
  }

  /**
   * Moves the objects into the repository, in git's order: a pack before its index, so that a
   * reader of the index finds the pack. Existing objects stay. Objects were flushed to disk when
   * they were written.
   */
  async migrate(): Promise<void> {
    const emptied = await moveInto(this.#directory.path, this.#real.objectDirectory);
    await removeEmptied(emptied);
    this.#isOver = true;
    this.repository.caches.release(this.repository);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.repository.caches.release(this.repository);
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** A directory whose files have been moved. */
interface Emptied {
  readonly path: string;
  readonly inside: readonly Emptied[];
}

/** Moves all files, on the main thread because it is quick. */
async function moveInto(source: string, target: string, slice = new LoopSlice()): Promise<Emptied> {
  const inside: Emptied[] = [];
  for (const entry of readdirSync(source, { withFileTypes: true }).sort(byOrderOfUse)) {
    const [from, to] = [`${source}/${entry.name}`, `${target}/${entry.name}`];
    if (entry.isDirectory()) {
      // Most repositories have most of the directories. A failing call costs more than this check.
      const isThere = existsSync(to);
      if (!isThere && LOOSE_DIRECTORY.test(entry.name) && isRenamed(from, to)) continue;
      if (!isThere) makeDirectorySync(to);
      inside.push(await moveInto(from, to, slice));
    } else {
      // An existing file has the same contents, because it is named by their hash. If it is created
      // at this moment, no harm is done.
      if (existsSync(to)) unlinkSync(from);
      else renameInto(from, to);
      if (slice.isOver) await slice.pause();
    }
  }
  return { path: source, inside };
}

/**
 * Matches directories of loose objects. There may be 256, and few repositories have all of them.
 */
const LOOSE_DIRECTORY = /^[0-9a-f]{2}$/;

/** Renames a directory as a whole if the target is missing or empty. Returns whether it did. */
function isRenamed(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes empty directories on other threads, because this waits for the file system's journal
 * while others flush. Call it only after everything that can fail.
 */
async function removeEmptied({ path, inside }: Emptied): Promise<void> {
  await Promise.all(inside.map(removeEmptied));
  await rmdir(path);
}

/**
 * Order of the files: first everything else, then the files of packs, so that none is visible
 * without those that it needs.
 */
const SUFFIXES = ['.keep', '.pack', '.rev', '.idx'];

function orderOf({ name }: Dirent): number {
  if (!name.startsWith('pack')) return 0;
  const at = SUFFIXES.findIndex((suffix) => name.endsWith(suffix));
  return at === -1 ? SUFFIXES.length + 1 : at + 1;
}

function byOrderOfUse(a: Dirent, b: Dirent): number {
  return orderOf(a) - orderOf(b) || (a.name < b.name ? -1 : 1);
}
