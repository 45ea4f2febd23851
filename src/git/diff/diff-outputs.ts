import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { CommandRepository } from '../command/command-repository.ts';
import type { InProcessName } from '../command/in-process.ts';
import { OTHERS_FIRST, Overflow } from '../command/overflow.ts';
import { directoriesKey, type GitDirectory } from '../repository-files/git-directory.ts';
import { piecesOfPatch } from './parse/patch-pieces.ts';

/** Limit of all outputs together. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Limit of one output. */
export const MAX_OUTPUT_BYTES = 512 * 1024;
/** Bytes of an entry in addition to its output. */
const ENTRY_BYTES = 600;
const MAX_ENTRIES = 5_000;
/**
 * Age after which git compares again; until then a missing object is not noticed. Small objects are
 * kept for the same time.
 */
const MAX_AGE_MS = 5 * 60_000;
/** Size of the pieces of an output; the same as those from a pipe. */
const PIECE_BYTES = 64 * 1024;

/** Ids of trees, or of other objects in their place. */
export interface TreePair {
  readonly before: string;
  readonly after: string;
  /** Tree whose `.gitattributes` apply. */
  readonly attributes: string;
}

/** A command with its options, and the trees that it compared. */
export interface OutputKind {
  /** Different for each command and its options. */
  readonly name: string;
  readonly trees: TreePair;
}

/** Yields an output of git. Returns whether it may be kept. */
export type AskGit = (signal: AbortSignal) => AsyncGenerator<Buffer, boolean, undefined>;

/** Shares outputs of git that are too large to be kept in memory. */
export interface LargeOutputs {
  /** Yields the output with this key: a kept one, or the output of `askGit`. */
  read(key: string, askGit: AskGit, signal: AbortSignal): ReturnType<AskGit>;
}

/** Source of an output that is not kept. */
export interface OutputSource {
  readonly question: InProcessName;
  /** Makes the output in process. @throws {FallBackToGit} when only git can. */
  readonly compare: () => Promise<Buffer>;
  readonly askGit: AskGit;
  readonly signal: AbortSignal;
}

/**
 * Outputs of git for pairs of trees, for all repositories together: a page with a diff is opened
 * several times. Only for outputs that nothing but the trees determines (see `plainTrees`).
 */
export class DiffOutputs {
  /** Set once, before outputs are read. Without it, git makes a large output for each call. */
  large: LargeOutputs | undefined;
  readonly #kept: BoundedMap<string, Buffer>;
  readonly #overflow = new Overflow();

  /** Creates the cache. @param now clock in milliseconds, for tests. */
  constructor(now?: () => number) {
    this.#kept = new BoundedMap({
      maxEntries: MAX_ENTRIES,
      maxWeight: MAX_BYTES,
      maxAgeMs: MAX_AGE_MS,
      weigh: ({ length }) => length + ENTRY_BYTES,
      ...(now && { now }),
    });
  }

  /**
   * Yields a kept output, or else one that is made in process or by git. A small output is kept if
   * `askGit` returns true at its end. The pieces must not be changed.
   */
  async *read(
    repository: CommandRepository,
    { name, trees: { before, after, attributes } }: OutputKind,
    { question, compare, askGit, signal }: OutputSource,
  ): AsyncGenerator<Buffer, void, undefined> {
    const key = `${directoriesKey(repository)}\0${name} ${before} ${after} ${attributes}`;
    const { isEnabled } = repository.inProcess;
    const kept = isEnabled ? this.#kept.get(key) : undefined;
    if (kept !== undefined) {
      yield* piecesOfPatch([kept], PIECE_BYTES);
      return;
    }
    using place = await this.#overflow.place(signal);
    const made = await repository.inProcess.attempt<Buffer | undefined>(
      question,
      async () => {
        if (!place.isOnLoop) throw OTHERS_FIRST;
        return await compare();
      },
      () => undefined,
    );
    if (made !== undefined) {
      place[Symbol.dispose](); // the client may read slowly
      if (made.length <= MAX_OUTPUT_BYTES) this.#kept.set(key, keptBytes([made]));
      yield* piecesOfPatch([made], PIECE_BYTES);
      return;
    }
    place.moveToGit();
    const note = new NotedOutput();
    const large = isEnabled ? this.large : undefined;
    const isWhole = yield* note.from(large?.read(key, askGit, signal) ?? askGit(signal));
    if (isEnabled && isWhole && note.isSmall) this.#kept.set(key, note.bytes);
  }

  /** Drops the outputs of a repository that was removed or moved. */
  forget({ path }: GitDirectory): void {
    for (const key of this.#kept.keys()) if (key.startsWith(`${path}\0`)) this.#kept.delete(key);
  }
}

/** The bytes of an output, while they are few. */
class NotedOutput {
  readonly #chunks: Buffer[] = [];
  #length = 0;

  get isSmall(): boolean {
    return this.#length <= MAX_OUTPUT_BYTES;
  }

  get bytes(): Buffer {
    return keptBytes(this.#chunks);
  }

  async *from(output: ReturnType<AskGit>): ReturnType<AskGit> {
    try {
      for (;;) {
        const { done, value } = await output.next();
        if (done === true) return value;
        this.#length += value.length;
        if (this.isSmall) this.#chunks.push(value);
        else this.#chunks.length = 0;
        yield value;
      }
    } finally {
      await output.return(false);
    }
  }
}
