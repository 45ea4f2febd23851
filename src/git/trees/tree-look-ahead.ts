import { kindOf } from '../names/entry-kind.ts';
import { oidBytesOf } from '../names/object-id.ts';
import type { RawObject } from '../names/object-info.ts';
import type { ObjectReader } from '../objects/object-reader.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';

/** A tree that a walk will reach. It may have been read already. */
export interface AwaitedTree {
  readonly oid: string;
  /** The next tree in pre-order. */
  next: AwaitedTree | undefined;
  state: 'unknown' | 'asked' | 'answered';
  /** The tree after it was read; `undefined` if there is no such tree, or reading it failed. */
  tree: ReadTree | undefined;
  error: unknown;
  /** Called when the result is available. */
  onAnswer: (() => void) | undefined;
}

/**
 * A tree, and its first entry that is a tree itself; the others follow through `next`, in order.
 */
export interface ReadTree {
  readonly object: RawObject;
  readonly firstChild: AwaitedTree | undefined;
}

/** Limit of concurrent requests for trees. */
const MAX_AHEAD = 512;
/** Limit of the memory of trees that were read ahead, estimated from the average size. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;
/** Estimated size of a tree before any was read. */
const USUAL_BYTES = 8 * 1024;

/**
 * Reads the trees below a tree before a walk reaches them, many with one request: the next ones in
 * pre-order, as many as memory allows. All known trees form a list in pre-order; after one has been
 * read, its subtrees are inserted after it.
 */
export class TreeLookAhead {
  readonly #objects: ObjectReader;
  #head: AwaitedTree | undefined;
  /** Number of requested trees that were not taken yet. */
  #ahead = 0;
  #seen = 0;
  #seenBytes = 0;

  constructor(objects: ObjectReader) {
    this.#objects = objects;
  }

  /** Begins with a tree. @throws {GitalyError} without a code when it cannot be parsed. */
  begin(object: RawObject): ReadTree {
    const tree = this.#parse(object, undefined);
    this.#head = tree.firstChild;
    this.#fill();
    return tree;
  }

  /**
   * Takes a tree out of the list; it must be the first one. Returns `undefined` if there is no such
   * tree. The result is a promise only if it is not available yet.
   *
   * @throws the error of reading it.
   */
  take(tree: AwaitedTree): ReadTree | undefined | Promise<ReadTree | undefined> {
    if (tree.state === 'unknown') this.#ask(tree);
    if (tree.state === 'answered') return this.#taken(tree);
    const { promise, resolve } = Promise.withResolvers<void>();
    tree.onAnswer = resolve;
    return promise.then(() => this.#taken(tree));
  }

  #taken(tree: AwaitedTree): ReadTree | undefined {
    this.#ahead--;
    this.#head = tree.next;
    this.#fill();
    if (tree.error !== undefined) throw tree.error;
    return tree.tree;
  }

  /** Requests more once half of the limit has been taken. */
  #fill(): void {
    const average = (this.#seenBytes + USUAL_BYTES) / (this.#seen + 1);
    const most = Math.max(1, Math.min(MAX_AHEAD, Math.floor(MAX_AHEAD_BYTES / average)));
    if (this.#ahead > most / 2) return;
    for (let tree = this.#head; tree !== undefined && this.#ahead < most; tree = tree.next) {
      if (tree.state === 'unknown') this.#ask(tree);
    }
  }

  #ask(tree: AwaitedTree): void {
    tree.state = 'asked';
    this.#ahead++;
    void this.#read(tree);
  }

  async #read(tree: AwaitedTree): Promise<void> {
    try {
      const object = await this.#objects.readObject(tree.oid);
      if (object?.type === 'tree') tree.tree = this.#parse(object, tree);
    } catch (error) {
      tree.error = error;
    }
    tree.state = 'answered';
    tree.onAnswer?.();
    this.#fill();
  }

  #parse(object: RawObject, self: AwaitedTree | undefined): ReadTree {
    this.#seen++;
    this.#seenBytes += object.size;
    const behind = self?.next;
    let last = self;
    let firstChild: AwaitedTree | undefined;
    const cursor = new TreeCursor(object.data, oidBytesOf(object.oid));
    while (cursor.next()) {
      if (kindOf(cursor.mode) !== 'tree') continue;
      const child = awaited(cursor.oid(), behind);
      if (last !== undefined) last.next = child;
      firstChild ??= child;
      last = child;
    }
    return { object, firstChild };
  }
}

function awaited(oid: string, next: AwaitedTree | undefined): AwaitedTree {
  return { oid, next, state: 'unknown', tree: undefined, error: undefined, onAnswer: undefined };
}
