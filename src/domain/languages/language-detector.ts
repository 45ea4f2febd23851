import { Worker } from 'node:worker_threads';
import type { DetectorAnswers, DetectorQuestion, LanguageDescription, QuestionedFile } from './detector-protocol.ts';

/** Contents of files are hostile at times, and patterns can be slow on them: longer than this no batch takes. */
const BATCH_MS = 10_000;
/** For one file alone, after its batch took too long. */
const FILE_MS = 2_000;
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
 * Tells languages apart in a thread of its own, which is started at the first question and ended when nobody asks any more: the data of
 * linguist take memory that a server at rest should not, and its patterns time that other calls should not wait for. Questions are
 * answered one after the other.
 */
export class LanguageDetector {
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

  /** Which of the files do not count for where they lie. */
  async areExcluded(files: readonly QuestionedFile[]): Promise<readonly boolean[]> {
    return await this.#ask({ kind: 'excluded', files }, BATCH_MS);
  }

  /** The language that each file counts for. One that takes too long has none. */
  async languagesOf(files: readonly FileWithContent[]): Promise<readonly (string | undefined)[]> {
    try {
      return await this.#ask({ kind: 'languages', files }, BATCH_MS);
    } catch (error) {
      if (!(error instanceof DetectorTimeout)) throw error;
    }
    const languages: (string | undefined)[] = [];
    for (const file of files) languages.push(await this.#languageOf(file));
    return languages;
  }

  /** What linguist tells of languages. */
  async describe(names: readonly string[]): Promise<readonly (LanguageDescription | undefined)[]> {
    return await this.#ask({ kind: 'describe', names }, BATCH_MS);
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
    const worker = this.#running();
    const { promise, resolve, reject } = Promise.withResolvers<DetectorAnswers[K]>();
    const timer = setTimeout(() => reject(new DetectorTimeout('telling languages apart took too long')), timeoutMs);
    const onExit = (): void => reject(new Error('the thread that tells languages apart has ended'));
    // It answers a question of this kind.
    const onMessage = (answer: unknown): void => resolve(answer as DetectorAnswers[K]);
    worker.on('message', onMessage).on('error', reject).on('exit', onExit);
    worker.ref();
    worker.postMessage(question);
    try {
      return await promise;
    } catch (error) {
      this.#end();
      throw error;
    } finally {
      clearTimeout(timer);
      worker.unref();
      worker.off('message', onMessage).off('error', reject).off('exit', onExit);
      this.#idle = setTimeout(() => this.#end(), IDLE_MS).unref();
    }
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(THREAD);
    // Whoever waits for an answer learns of it too.
    worker.on('error', () => {});
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
    });
    this.#worker = worker;
    return worker;
  }

  #end(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}
