import type { Readable } from 'node:stream';
import type { ObjectInfo, RawObject } from '#git/names/object-info';

/**
 * The result for an existing object. `data` and `stream` are both unset if only its info was
 * requested.
 */
export interface FoundObject extends ObjectInfo, Pick<RawObject, 'isCached'> {
  /** The whole contents. */
  readonly data?: Buffer;
  /**
   * The contents of an object that is too big for memory. The receiver reads it to the end or
   * destroys it.
   */
  readonly stream?: Readable;
}

/** Returns what was read into memory. */
export function rawObject({
  oid,
  type,
  size,
  data = Buffer.alloc(0),
  isCached = false,
}: FoundObject): RawObject {
  return { oid, type, size, data, isCached };
}

/** Returns an object without its contents. */
export function infoOf({ oid, type, size }: ObjectInfo): ObjectInfo {
  return { oid, type, size };
}

export type LookupMode =
  /** Type and size. */
  | 'info'
  /** The contents, held in memory; an object above `maxBytes` is an error. */
  | 'whole'
  /** The contents: held when small, a stream when not. Only a reader looks so; it needs two lookups. */
  | 'open';

/**
 * Called for each lookup, in the asynchronous context of its caller. May return a function that is
 * called when the lookup is answered or has failed.
 */
export type LookupObserver = (mode: LookupMode) => (() => void) | undefined;

/**
 * Matches revisions of which git dies (relative paths, missing reflog entries and upstreams), or
 * for which it searches the whole history (`:/text`, `^{/text}`).
 */
const DIFFICULT = /@\{|\^\{\/|^:\/|:(?:[0-3]:)?\.\.?(?:\/|$)/;
/** git needs 50 ms per megabyte of a revision. */
const MAX_EASY_BYTES = 4096;

/** One request to a cat-file process, and the promise of its result. */
export class Lookup {
  readonly mode: Exclude<LookupMode, 'open'>;
  readonly revision: Buffer;
  readonly maxBytes: number;
  readonly answer: Promise<FoundObject | undefined>;
  /** Number of processes that died with this lookup in their queue. */
  deaths = 0;
  settled = false;
  #resolve: (found: FoundObject | undefined) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(mode: Lookup['mode'], revision: Buffer, maxBytes: number) {
    this.mode = mode;
    this.revision = revision;
    this.maxBytes = maxBytes;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** True if it must not affect others, and needs a dedicated process. */
  get isDifficult(): boolean {
    return this.revision.length > MAX_EASY_BYTES || DIFFICULT.test(this.revision.toString('latin1'));
  }

  /**
   * Resolves the promise, unless the caller has aborted. Returns whether the result was accepted.
   */
  resolve(found: FoundObject | undefined): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#resolve(found);
    return true;
  }

  reject(error: unknown): void {
    if (this.settled) return;
    this.settled = true;
    this.#reject(error);
  }

  /** Returns git's command. */
  command(delimiter: number): Buffer {
    const verb = this.mode === 'info' ? INFO : CONTENTS;
    const command = Buffer.allocUnsafe(verb.length + this.revision.length + 1);
    verb.copy(command);
    this.revision.copy(command, verb.length);
    command[command.length - 1] = delimiter;
    return command;
  }
}

const INFO = Buffer.from('info ');
const CONTENTS = Buffer.from('contents ');
