import { type Dirent, existsSync, mkdirSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { rmdir } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { systemErrorCode } from '#base/system-error';
import { quarantinePrefix } from './quarantine-path.ts';
import { Repository } from './repository.ts';
import { createTempDirectory, type TempDirectory } from './temp-directories.ts';

/**
 * A place for the objects of a change that may still be refused. What is written through {@link repository} lies beside the repository's
 * objects, sees them, and is seen by nobody else but who is told of the directory (GitLab, custom hooks).
 *
 *     await using quarantine = await Quarantine.create(repository);
 *     … write objects through quarantine.repository, ask whoever may refuse …
 *     await quarantine.migrate();
 *
 * Disposing drops what was not migrated.
 */
export class Quarantine implements AsyncDisposable {
  /** The repository, writing to the quarantine. Of no use after {@link migrate}. */
  readonly repository: Repository;
  readonly #real: Repository;
  readonly #directory: TempDirectory;
  #isOver = false;

  private constructor(real: Repository, directory: TempDirectory) {
    this.#real = real;
    this.#directory = directory;
    const { objectDirectory, alternateObjectDirectories } = real;
    this.repository = new Repository(
      real.git,
      real,
      { objectDirectory: directory.path, alternateObjectDirectories: [objectDirectory, ...alternateObjectDirectories] },
      real,
    );
  }

  /** Makes an empty quarantine on the file system of the repository. */
  static async create(repository: Repository): Promise<Quarantine> {
    return new Quarantine(repository, await createTempDirectory(repository.storage, quarantinePrefix(repository.relativePath)));
  }

  /**
   * Makes the objects part of the repository, in the order in which git does: a pack before its index, so that whoever sees the one finds the
   * other. An object that is there already stays. Objects were flushed to disk when they were written.
   */
  async migrate(): Promise<void> {
    const emptied = await moveInto(this.#directory.path, this.#real.objectDirectory);
    await removeEmptied(emptied);
    this.#isOver = true;
    this.repository.git.release(this.repository);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.repository.git.release(this.repository);
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** Files that are moved in one go; then others get their turn. */
const FILES_PER_TURN = 100;

/** A directory whose files have been moved away. */
interface Emptied {
  readonly path: string;
  readonly inside: readonly Emptied[];
}

/** Moves all files. It is quick and does not leave the thread. */
async function moveInto(source: string, target: string): Promise<Emptied> {
  let moved = 0;
  const inside: Emptied[] = [];
  for (const entry of readdirSync(source, { withFileTypes: true }).sort(byOrderOfUse)) {
    const [from, to] = [`${source}/${entry.name}`, `${target}/${entry.name}`];
    if (entry.isDirectory()) {
      makeDirectory(to);
      inside.push(await moveInto(from, to));
    } else {
      // A file that is there already has the same contents: it is named by their hash. If it comes this moment, no harm is done.
      if (existsSync(to)) unlinkSync(from);
      else renameSync(from, to);
      if (++moved % FILES_PER_TURN === 0) await setImmediate();
    }
  }
  return { path: source, inside };
}

/** Waits for the file system's journal while others flush to it, so it is done by other threads; and only when nothing is left to fail. */
async function removeEmptied({ path, inside }: Emptied): Promise<void> {
  await Promise.all(inside.map(removeEmptied));
  await rmdir(path);
}

function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  try {
    mkdirSync(path);
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
  }
}

/** Everything else, then the files of packs so that none is found without what it needs. */
const SUFFIXES = ['.keep', '.pack', '.rev', '.idx'];

function orderOf({ name }: Dirent): number {
  if (!name.startsWith('pack')) return 0;
  const at = SUFFIXES.findIndex((suffix) => name.endsWith(suffix));
  return at === -1 ? SUFFIXES.length + 1 : at + 1;
}

function byOrderOfUse(a: Dirent, b: Dirent): number {
  return orderOf(a) - orderOf(b) || (a.name < b.name ? -1 : 1);
}
