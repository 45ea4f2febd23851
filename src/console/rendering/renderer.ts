import { clearTimeout, setTimeout } from 'node:timers';
import { Worker } from 'node:worker_threads';
import { type Html, trusted, visible } from '../html/html.ts';
import type { RenderJob, RenderRequest, RenderResponse } from './rendering.ts';

/** Longer texts are shown as they are. */
export const MAX_RENDERED_BYTES = 256 * 1024;
/** A text that takes longer is shown as it is. The thread is ended: nothing else stops it. */
const JOB_LIMIT_MS = 1000;
/** Of a new thread, which loads its code first. */
const FIRST_JOB_LIMIT_MS = 5000;
/** Texts that wait; further ones are shown as they are. */
const MAX_WAITING = 16;
/** A thread without work ends after this time. */
const KEEP_THREAD_MS = 60_000;
const THREAD_LIMITS = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8 };

/** Compiled or not, as this file is. The compiled thread is one file with its packages. */
const THREAD = import.meta.filename.endsWith('.ts')
  ? new URL('./render-thread.ts', import.meta.url)
  : new URL('../../threads/render-thread.js', import.meta.url);

interface Waiting {
  readonly job: RenderJob;
  readonly resolve: (markup: Html | undefined) => void;
}

/**
 * Renders texts of repositories in a thread, one at a time, each within a limit of time and size.
 */
export class Renderer implements AsyncDisposable {
  readonly #waiting: Waiting[] = [];
  #worker: Worker | undefined;
  #isBusy = false;
  #lastId = 0;
  #idle: NodeJS.Timeout | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#idle);
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined);
    await this.#worker?.terminate();
  }

  /** Returns the markup of a text; `undefined` if it has to be shown as it is. */
  render(job: RenderJob): Promise<Html | undefined> {
    const { promise, resolve } = Promise.withResolvers<Html | undefined>();
    if (job.text.length > MAX_RENDERED_BYTES || this.#waiting.length >= MAX_WAITING) resolve(undefined);
    else {
      this.#waiting.push({ job: { ...job, text: visible(job.text) }, resolve });
      void this.#work();
    }
    return promise;
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    clearTimeout(this.#idle);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const markup = await this.#run(next.job);
      next.resolve(markup === undefined ? undefined : trusted(markup));
    }
    this.#isBusy = false;
    this.#idle = setTimeout(() => this.#end(), KEEP_THREAD_MS).unref();
  }

  /** Returns `undefined` if the thread fails, or takes too long. */
  async #run(job: RenderJob): Promise<string | undefined> {
    const limitMs = this.#worker === undefined ? FIRST_JOB_LIMIT_MS : JOB_LIMIT_MS;
    const worker = this.#worker ?? this.#start();
    const { promise, resolve } = Promise.withResolvers<RenderResponse | undefined>();
    const give = (): void => resolve(undefined);
    const timer = setTimeout(give, limitMs);
    worker.once('message', resolve).once('error', give).once('exit', give);
    const id = ++this.#lastId;
    worker.postMessage({ id, job } satisfies RenderRequest);
    const response = await promise;
    clearTimeout(timer);
    worker.off('message', resolve).off('error', give).off('exit', give);
    if (response?.id === id) return response.markup;
    if (this.#worker === worker) this.#end();
    return undefined;
  }

  #start(): Worker {
    const worker = new Worker(THREAD, { resourceLimits: THREAD_LIMITS, execArgv: [], env: {} });
    worker.unref();
    worker.on('error', () => {}); // `#run` starts another one
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
