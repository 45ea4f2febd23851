import { FallBackToGit } from '#git/command/in-process';
import { type OidBytes, trustedOid } from '#git/names/object-id';
import { beginsWith } from '#git/names/prefixes';
import { HEAD, isRefName } from '#git/names/ref-name';
import type { RawRef } from '../files/loose-ref.ts';
import { behindPrefix } from '../files/name-ranges.ts';
import type { StackRef } from './block.ts';
import type { BlockCache } from './block-cache.ts';
import { broken, TableVanished } from './broken.ts';
import { STACK_LIMITS } from './limits.ts';
import type { Table } from './table.ts';
import { TableCursor } from './table-cursor.ts';

const NAMESPACE = Buffer.from('refs/');

/** One state of the references of a repository: the tables of its list, the oldest first. */
export class Stack {
  readonly tables: readonly Table[];
  readonly #blocks: BlockCache;

  /**
   * Creates the view. @param oidBytes of the repository's object ids.
   * @throws {FallBackToGit} for tables of another hash, and for very many.
   */
  constructor(tables: readonly Table[], blocks: BlockCache, oidBytes: OidBytes) {
    if (tables.some((table) => table.oidBytes !== oidBytes)) throw broken('a table has another hash');
    if (tables.length > STACK_LIMITS.tables) throw broken('there are very many tables');
    this.tables = tables;
    this.#blocks = blocks;
  }

  /** Bytes of all tables. */
  get bytes(): number {
    return this.tables.reduce((sum, { size }) => sum + size, 0);
  }

  /** Keeps the files open until the result is disposed. @throws {TableVanished}. */
  hold(): Disposable {
    const held = new DisposableStack();
    try {
      for (const table of this.tables) held.use(table.hold());
      return held;
    } catch (error) {
      held.dispose();
      throw error;
    }
  }

  /**
   * Returns a reference; `undefined` when it does not exist.
   *
   * @throws {TableVanished}; {FallBackToGit} when only git can read it.
   */
  find(name: Buffer): StackRef | undefined {
    for (let index = this.tables.length - 1; index >= 0; index--) {
      const table = this.tables[index];
      if (table === undefined) continue;
      const found = new TableCursor(table, this.#blocks).lookUp(name);
      if (found !== undefined) return found.block.ref(found.record);
    }
    return undefined;
  }

  /** Returns a reference as {@link find} does. @throws as it. */
  read(name: Buffer): RawRef | undefined {
    const ref = this.find(name);
    if (ref === undefined) return undefined;
    const { oid, symbolicTarget } = ref;
    if (oid !== undefined) return { oid: trustedOid(oid) }; // its length was checked with the block
    if (symbolicTarget !== undefined && isRefName(symbolicTarget) && !symbolicTarget.equals(HEAD))
      return { symbolicTarget };
    throw broken('a symbolic reference has a wrong target');
  }

  /**
   * Yields the references with a prefix, in the order of names, in batches of up to a block.
   *
   * @throws as {@link find}, and for a name that git does not accept.
   */
  *batches(prefix: Buffer): Generator<StackRef[], void> {
    // The newest table comes first, because the first of equal names counts.
    const cursors = this.tables.toReversed().map((table) => new TableCursor(table, this.#blocks));
    for (const cursor of cursors) cursor.seek(prefix);
    const behind = behindPrefix(prefix);
    for (let run = nextRun(cursors); run !== undefined; run = nextRun(cursors)) {
      const { first, end = behind } = run;
      const { block, record } = first;
      if (block === undefined) return;
      const name = block.name(record);
      if (!beginsWith(name, prefix)) {
        // git passes over such names.
        if (!beginsWith(name, NAMESPACE)) throw broken('a name behind all references');
        return;
      }
      const limit = end !== undefined && behind !== undefined && behind.compare(end) < 0 ? behind : end;
      const stop = limit === undefined ? block.count : block.position(limit);
      yield block.refs(record, stop);
      first.moveTo(stop);
    }
  }
}

/**
 * Returns the cursor with the first name, and the first name of the others: its records before that
 * need no comparison. Moves the others over records that it hides.
 */
function nextRun(
  cursors: readonly TableCursor[],
): { readonly first: TableCursor; readonly end: Buffer | undefined } | undefined {
  let first: TableCursor | undefined;
  for (const cursor of cursors) {
    if (cursor.block === undefined) continue;
    if (first === undefined || compareCursors(cursor, first) < 0) first = cursor;
  }
  if (first === undefined) return undefined;
  let end: TableCursor | undefined;
  for (const cursor of cursors) {
    if (cursor === first || cursor.block === undefined) continue;
    if (compareCursors(cursor, first) === 0) cursor.next();
    if (cursor.block !== undefined && (end === undefined || compareCursors(cursor, end) < 0)) end = cursor;
  }
  return { first, end: end && nameAt(end) };
}

function compareCursors(a: TableCursor, b: TableCursor): number {
  return a.block?.compare(a.record, nameAt(b)) ?? 0;
}

function nameAt({ block, record }: TableCursor): Buffer {
  return block?.name(record) ?? Buffer.alloc(0);
}

/** Turns the loss of a table into a fallback: for reads that cannot begin again. */
export function fallBackOnVanished(error: unknown): never {
  if (error instanceof TableVanished) throw new FallBackToGit('reftable: a table was removed');
  throw error;
}
