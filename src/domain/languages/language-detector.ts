import { Worker } from 'node:worker_threads';
import type {
  DetectorAnswers,
  DetectorQuestion,
  LanguageDescription,
  QuestionedFile,
} from './detector-protocol.ts';

/** Starting the thread takes a tenth of a second. */
const START_MS = 20_000;
/**
 * Contents of files are hostile at times, and patterns can be slow on them: longer than this no
 * batch takes.
 */
const BATCH_MS = 5_000;
/** For one file alone, after its batch took too long. Usual ones take less than a millisecond. */
const FILE_MS = 250;
/** The thread, with the memory it takes, is ended when it was not asked for so long. */
const IDLE_MS = 10_000;

/** Compiled or not, as this file is. */
const THREAD = import.meta.filename.endsWith('.ts')
  ? new URL('./detector-thread.ts', import.meta.url)
  : new URL('./detector-thread.js', import.meta.url);

type Kind = DetectorQuestion['kind'];
type Asked<K extends Kind> = Extract<DetectorQuestion, { kind: K }>;
type FileWithContent = Asked<'languages'>['files'][number];

/** The thread took longer than it may, and was ended. */
class DetectorTimeout extends Error {}

/**
 * Detects languages in a separate thread. The thread starts at the first question and ends when
 * there are no more users: the data of linguist take memory that an idle server should not hold,
 * and its patterns take time that must not delay other calls. Questions are answered one after the
 * other.
 */
export class LanguageDetector {
  readonly #batchMs: number;
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

  /** @param options `batchMs`: time limit of a batch, instead of 5 s. */
  constructor({ batchMs = BATCH_MS }: { readonly batchMs?: number } = {}) {
    this.#batchMs = batchMs;
  }

  /** Reports which of the files do not count because of their paths. */
  async areExcluded(files: readonly QuestionedFile[]): Promise<readonly boolean[]> {
    return await this.#ask({ kind: 'excluded', files }, this.#batchMs);
  }

  /**
   * Returns the language that each file counts for. A file that exceeds the time limit has none.
   */
  async languagesOf(
    files: readonly FileWithContent[],
    signal: AbortSignal,
  ): Promise<readonly (string | undefined)[]> {
    try {
      return await this.#ask({ kind: 'languages', files }, this.#batchMs);
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
    return await this.#ask({ kind: 'describe', names }, this.#batchMs);
  }

  async #languageOf(file: FileWithContent): Promise<string | undefined> {
    try {
      return (await this.#ask<'languages'>({ kind: 'languages', files: [file] }, FILE_MS))[0];
    } catch (error) {
      if (error instanceof DetectorTimeout) return undefined;
      throw error;
    }
  }

  async #ask<K extends Kind>(question: Asked<K>, timeoutMs: number): Promise<DetectorAnswers[K]> {
    const answer = this.#last.then(() => this.#exchange(question, timeoutMs));
    this.#last = answer.catch(() => {});
    return await answer;
  }

  async #exchange<K extends Kind>(question: Asked<K>, timeoutMs: number): Promise<DetectorAnswers[K]> {
    clearTimeout(this.#idle);
    try {
      const worker = this.#worker ?? (await this.#start());
      worker.ref();
      worker.postMessage(question);
      // It answers a question of this kind.
      return (await messageOf(worker, timeoutMs)) as DetectorAnswers[K];
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      this.#worker?.unref();
      this.#idle = setTimeout(() => this.#end(), IDLE_MS).unref();
    }
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(THREAD);
    this.#worker = worker;
    // Waiting callers receive the error too.
    worker.on('error', () => {});
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    // The first message reports that the thread is ready.
    await messageOf(worker, START_MS);
    return worker;
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}

/** Waits for the next message of a thread. @throws {DetectorTimeout} when none comes in time. */
async function messageOf(worker: Worker, timeoutMs: number): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const timer = setTimeout(
    () => reject(new DetectorTimeout('telling languages apart took too long')),
    timeoutMs,
  );
  const onExit = (): void => reject(new Error('the thread that tells languages apart has ended'));
  worker.on('message', resolve).on('error', reject).on('exit', onExit);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    worker.off('message', resolve).off('error', reject).off('exit', onExit);
  }
}
