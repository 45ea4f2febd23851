import { type AskedLanguages, DetectorLane, DetectorTimeout, type Kind } from './detector-lane.ts';
import type { DetectorAnswers, LanguageDescription, QuestionedFile } from './detector-protocol.ts';

/** Time of a batch in the lane that all calls share; usual ones take some milliseconds. */
const SHARED_MS = 500;
/** Time of a batch in the lane of slow repositories. */
const BATCH_MS = 5_000;
/**
 * For one file alone, after its batch took too long: on a very busy machine. linguist's rules take
 * linear time, and less than 10 ms for 16 KiB.
 */
const FILE_MS = 1_000;

type FileWithContent = AskedLanguages<'languages'>['files'][number];

/** The calls for one repository that run at the same time. */
interface RepositoryCalls {
  count: number;
  /** Set when a batch exceeded the time of the shared lane. */
  isSlow: boolean;
  /** Settles with the last question: only one at a time waits in a lane. */
  last: Promise<unknown>;
}

/**
 * Detects languages in separate threads: the data of linguist take memory that an idle server
 * should not hold, and its rules take time that must not delay other calls. There are two: one for
 * all repositories, and one for those with slow files, so that these wait only for each other.
 * The calls for one repository take turns, so any number of them delays others by one question.
 */
export class LanguageDetector {
  readonly #batchMs: number;
  readonly #shared = new DetectorLane();
  readonly #slow = new DetectorLane();
  readonly #calls = new Map<string, RepositoryCalls>();

  /** @param options `batchMs`: time limit of a slow batch, instead of 5 s. */
  constructor({ batchMs = BATCH_MS }: { readonly batchMs?: number } = {}) {
    this.#batchMs = batchMs;
  }

  /**
   * Returns the functions that one call uses; it disposes them.
   *
   * @param repository its path: calls with the same one take turns
   */
  forCall(repository: string): CallDetector {
    const calls = this.#calls.get(repository) ?? { count: 0, isSlow: false, last: Promise.resolve() };
    this.#calls.set(repository, calls);
    calls.count++;
    return new CallDetector({
      ...{ shared: this.#shared, slow: this.#slow, batchMs: this.#batchMs, calls },
      end: () => {
        if (--calls.count === 0) this.#calls.delete(repository);
      },
    });
  }
}

interface Lanes {
  readonly shared: DetectorLane;
  readonly slow: DetectorLane;
  readonly batchMs: number;
  readonly calls: RepositoryCalls;
  readonly end: () => void;
}

/**
 * The questions of one call. After a slow answer those for its repository go to the lane of slow
 * ones, until no call for it is left.
 */
export class CallDetector implements Disposable {
  readonly #lanes: Lanes;

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  [Symbol.dispose](): void {
    this.#lanes.end();
  }

  /** Reports which files do not count because of their paths. */
  async areExcluded(files: readonly QuestionedFile[]): Promise<readonly boolean[]> {
    return await this.#ask({ kind: 'excluded', files });
  }

  /**
   * Returns the language that each file counts for. A file that exceeds the time limit has none.
   */
  async languagesOf(
    files: readonly FileWithContent[],
    signal: AbortSignal,
  ): Promise<readonly (string | undefined)[]> {
    try {
      return await this.#ask({ kind: 'languages', files });
    } catch (error) {
      if (!(error instanceof DetectorTimeout)) throw error;
    }
    const languages: (string | undefined)[] = [];
    for (const file of files) {
      signal.throwIfAborted();
      languages.push(await this.#languageOf(file));
    }
    return languages;
  }

  /** Returns linguist's descriptions of languages. */
  async describe(names: readonly string[]): Promise<readonly (LanguageDescription | undefined)[]> {
    return await this.#ask({ kind: 'describe', names });
  }

  async #languageOf(file: FileWithContent): Promise<string | undefined> {
    try {
      const question = { kind: 'languages', files: [file] } as const;
      return (await this.#lanes.slow.ask<'languages'>(question, FILE_MS))[0];
    } catch (error) {
      if (error instanceof DetectorTimeout) return undefined;
      throw error;
    }
  }

  async #ask<K extends Kind>(question: AskedLanguages<K>): Promise<DetectorAnswers[K]> {
    const { calls } = this.#lanes;
    const answer = calls.last.then(() => this.#askNow(question));
    calls.last = answer.catch(() => {}); // the call that waits gets the error
    return await answer;
  }

  async #askNow<K extends Kind>(question: AskedLanguages<K>): Promise<DetectorAnswers[K]> {
    const { shared, slow, batchMs, calls } = this.#lanes;
    try {
      if (!calls.isSlow) return await shared.ask(question, SHARED_MS);
    } catch (error) {
      if (!(error instanceof DetectorTimeout)) throw error;
      calls.isSlow = true;
    }
    return await slow.ask(question, batchMs);
  }
}
