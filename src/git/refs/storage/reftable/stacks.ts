import { readFileSync, statSync } from 'node:fs';
import { type FileStamp, isSettled, stampOf } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import type { OidBytes } from '#git/names/object-id';
import { BlockCache } from './block-cache.ts';
import { broken, TableVanished } from './broken.ts';
import { STACK_CACHES, STACK_LIMITS } from './limits.ts';
import { Stack } from './stack.ts';
import { Table } from './table.ts';

/** The list of tables, relative to the git directory. */
export const TABLES_LIST = 'reftable/tables.list';
/** Contents of the file HEAD, which git writes for programs that know only files. */
export const NO_HEAD = 'ref: refs/heads/.invalid\n';

/** Names that git gives to tables, and other ones without a path. */
const TABLE_NAME = /^[\w-][\w.-]*$/;
/** Memory of a stack and of a table in addition to its bytes. */
const STACK_BYTES = 500;
const TABLE_BYTES = 300;

/** Returns false for what cannot be the name of a table, as a damaged list has it. */
export function isTableName(name: string): boolean {
  return TABLE_NAME.test(name);
}

interface Kept {
  readonly stamp: FileStamp;
  /** Contents of the list. Its names are random, so equal lists are the same stack. */
  readonly list: string;
  readonly oidBytes: OidBytes;
  readonly stack: Stack;
}

/** The stacks of repositories, with the blocks that were read from them. */
export class Stacks {
  readonly blocks: BlockCache;
  readonly #kept = new BoundedMap<string, Kept>({
    maxEntries: STACK_CACHES.stacks,
    maxWeight: STACK_CACHES.stackBytes,
    weigh: ({ stack: { tables } }) =>
      tables.reduce((sum, { keptBytes }) => sum + keptBytes + TABLE_BYTES, STACK_BYTES),
  });

  constructor(blocks = new BlockCache()) {
    this.blocks = blocks;
  }

  /**
   * Calls back with the current stack of a repository; again with a newer one if a table is removed
   * meanwhile.
   *
   * @throws {FallBackToGit} when only git can read it.
   */
  use<T>(gitDirectory: string, oidBytes: OidBytes, read: (stack: Stack) => T): T {
    for (let attempt = 0; attempt < STACK_LIMITS.attempts; attempt++) {
      try {
        return read(this.#current(gitDirectory, oidBytes));
      } catch (error) {
        if (!(error instanceof TableVanished)) throw error;
        this.forget(gitDirectory);
      }
    }
    throw broken('a table is missing');
  }

  forget(gitDirectory: string): void {
    this.#kept.delete(gitDirectory);
  }

  #current(gitDirectory: string, oidBytes: OidBytes): Stack {
    const file = `${gitDirectory}/${TABLES_LIST}`;
    const stats = statSync(file);
    const stamp = stampOf(stats);
    const known = this.#kept.get(gitDirectory);
    const isKnown = known?.oidBytes === oidBytes;
    // The list is replaced, but its inode may be reused within one tick of the clock.
    if (isKnown && known.stamp === stamp && isSettled(stats, Date.now())) return known.stack;
    if (stats.size > STACK_LIMITS.listBytes) throw broken('the list of tables is too long');
    const list = readFileSync(file, 'latin1');
    const stack =
      isKnown && known.list === list ? known.stack : this.#open(gitDirectory, list, { oidBytes, known });
    if (known?.stamp !== stamp || known.stack !== stack)
      this.#kept.set(gitDirectory, { stamp, list, oidBytes, stack });
    return stack;
  }

  #open(
    gitDirectory: string,
    list: string,
    { oidBytes, known }: { oidBytes: OidBytes; known: Kept | undefined },
  ): Stack {
    const paths = list
      .split('\n')
      .filter((name) => name !== '')
      .map((name) => {
        if (!isTableName(name)) throw broken('a table has an unusual name');
        return `${gitDirectory}/reftable/${name}`;
      });
    if (paths.length > STACK_LIMITS.tables) throw broken('there are very many tables');
    const opened = new Map(known?.stack.tables.map((table) => [table.path, table]));
    return new Stack(
      paths.map((path) => opened.get(path) ?? new Table(path)),
      this.blocks,
      oidBytes,
    );
  }
}
