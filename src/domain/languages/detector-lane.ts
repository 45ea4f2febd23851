import { Worker } from 'node:worker_threads';
import { waitAtMost } from '#base/async/wait-at-most';
import type { DetectorAnswers, DetectorQuestion } from './detector-protocol.ts';

/** Starting the thread takes a tenth of a second. */
const START_MS = 20_000;
/** Idle time after which the thread is ended, to free its memory. */
const IDLE_MS = 10_000;

/** Compiled or not, as this file is. */
const THREAD = import.meta.filename.endsWith('.ts')
  ? new URL('./detector-thread.ts', import.meta.url)
  : new URL('./detector-thread.js', import.meta.url);

export type Kind = DetectorQuestion['kind'];
export type AskedLanguages<K extends Kind> = Extract<DetectorQuestion, { kind: K }>;

/** The thread took longer than it may, and was ended. */
export class DetectorTimeout extends Error {}

/**
 * A thread that handles questions one after the other. It starts with the first question and ends
 * when it is idle.
 */
export class DetectorLane {
  #worker: Worker | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;

  /** @throws {DetectorTimeout} when the response takes too long. */
  async ask<K extends Kind>(question: AskedLanguages<K>, timeoutMs: number): Promise<DetectorAnswers[K]> {
    const answer = this.#last.then(() => this.#exchange(question, timeoutMs));
    this.#last = answer.catch(() => {}); // the next question does not depend on it
    return await answer;
  }

  async #exchange<K extends Kind>(
    question: AskedLanguages<K>,
    timeoutMs: number,
  ): Promise<DetectorAnswers[K]> {
    clearTimeout(this.#idle);
    try {
      const worker = this.#worker ?? (await this.#start());
      worker.ref();
      worker.postMessage(question);
      // The thread responds to a question of this kind.
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
    // Waiting callers also receive the error.
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
  const onExit = (): void => reject(new Error('the language detection thread exited'));
  worker.on('message', resolve).on('error', reject).on('exit', onExit);
  try {
    return await waitAtMost(promise, timeoutMs, tooLate);
  } finally {
    worker.off('message', resolve).off('error', reject).off('exit', onExit);
  }
}

function tooLate(): never {
  throw new DetectorTimeout('telling languages apart took too long');
}
