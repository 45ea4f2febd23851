import { type Asked, DetectorLane, DetectorTimeout, type Kind } from './detector-lane.ts';
import type { DetectorAnswers, LanguageDescription, QuestionedFile } from './detector-protocol.ts';

/** Time of a batch in the lane that all calls share; usual ones take some milliseconds. */
const SHARED_MS = 500;
/** Time of a batch in the lane of slow calls: contents are hostile at times, and patterns slow on them. */
const BATCH_MS = 5_000;
/** For one file alone, after its batch took too long. Usual ones take less than a millisecond. */
const FILE_MS = 250;

type FileWithContent = Asked<'languages'>['files'][number];

/**
 * Detects languages in separate threads: the data of linguist take memory that an idle server
 * should not hold, and its patterns take time that must not delay other calls. There are two: one
 * for all calls, and one for those whose files were slow, so that these wait only for each other.
 */
export class LanguageDetector {
  readonly #batchMs: number;
  readonly #shared = new DetectorLane();
  readonly #slow = new DetectorLane();

  /** @param options `batchMs`: time limit of a slow batch, instead of 5 s. */
  constructor({ batchMs = BATCH_MS }: { readonly batchMs?: number } = {}) {
    this.#batchMs = batchMs;
  }

  /** Returns the functions that one call uses. */
  forCall(): CallDetector {
    return new CallDetector({ shared: this.#shared, slow: this.#slow, batchMs: this.#batchMs });
  }
}

interface Lanes {
  readonly shared: DetectorLane;
  readonly slow: DetectorLane;
  readonly batchMs: number;
}

/** The questions of one call. After a slow answer the rest of them goes to the lane of slow calls. */
export class CallDetector {
  readonly #lanes: Lanes;
  #isSlow = false;

  constructor(lanes: Lanes) {
    this.#lanes = lanes;
  }

  /** Reports which of the files do not count because of their paths. */
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

  async #ask<K extends Kind>(question: Asked<K>): Promise<DetectorAnswers[K]> {
    const { shared, slow, batchMs } = this.#lanes;
    try {
      if (!this.#isSlow) return await shared.ask(question, SHARED_MS);
    } catch (error) {
      if (!(error instanceof DetectorTimeout)) throw error;
      this.#isSlow = true;
    }
    return await slow.ask(question, batchMs);
  }
}
