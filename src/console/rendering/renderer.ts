import { createHash } from 'node:crypto';
import { clearTimeout, setTimeout } from 'node:timers';
import { Worker } from 'node:worker_threads';
import { waitAtMost } from '#base/async/wait-at-most';
import { BoundedMap } from '#base/memory/bounded-map';
import { type Html, trusted, visible } from '../html/html.ts';
import type { RenderJob, RenderRequest, RenderResponse } from './rendering.ts';

/** Longer texts are shown as they are. */
export const MAX_RENDERED_BYTES = 256 * 1024;
/** A text that takes longer is shown as it is. The thread is ended: nothing else stops it. */
const JOB_LIMIT_MS = 1000;
/** For a new thread, which loads its code first. */
const FIRST_JOB_LIMIT_MS = 5000;
/** Texts that wait; further ones are shown as they are. */
const MAX_WAITING = 16;
/** Markup of READMEs and files that are shown again and again, in characters. */
const MAX_KEPT_LENGTH = 2 * 1024 * 1024;
const MAX_KEPT = 256;
/** Time after which an idle thread is terminated and its markup is dropped. */
const KEEP_THREAD_MS = 60_000;
const THREAD_LIMITS = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8 };

/** Compiled or not, as this file is. The compiled thread is one file with its packages. */
const THREAD = import.meta.filename.endsWith('.ts')
  ? new URL('./render-thread.ts', import.meta.url)
  : new URL('../../threads/render-thread.js', import.meta.url);

interface Waiting {
  readonly job: RenderJob;
  readonly digest: string;
  readonly resolve: (markup: Html | undefined) => void;
}

/**
 * Renders texts of repositories in a thread, one at a time, each within a limit of time and size.
 */
export class Renderer implements AsyncDisposable {
  readonly #waiting: Waiting[] = [];
  readonly #rendered = new BoundedMap<string, Html>({
    maxEntries: MAX_KEPT,
    maxWeight: MAX_KEPT_LENGTH,
    weigh: (markup) => markup.toString().length,
  });
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
  async render(job: RenderJob): Promise<Html | undefined> {
    if (job.text.length > MAX_RENDERED_BYTES) return undefined;
    const digest = digestOf(job);
    const known = this.#rendered.get(digest);
    if (known !== undefined || this.#waiting.length >= MAX_WAITING) return known;
    const { promise, resolve } = Promise.withResolvers<Html | undefined>();
    this.#waiting.push({ job, digest, resolve });
    void this.#work();
    return await promise;
  }

  async #work(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    clearTimeout(this.#idle);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      next.resolve(await this.#markup(next));
    }
    this.#isBusy = false;
    this.#idle = setTimeout(() => {
      this.#rendered.clear();
      this.#end();
    }, KEEP_THREAD_MS).unref();
  }

  async #markup({ digest, job }: Waiting): Promise<Html | undefined> {
    const markup = await this.#run({ ...job, text: visible(job.text) });
    if (markup === undefined) return undefined;
    // Entities of a text may be invisible characters, too.
    const rendered = trusted(visible(markup));
    this.#rendered.set(digest, rendered);
    return rendered;
  }

  /** Returns `undefined` if the thread fails, or takes too long. */
  async #run(job: RenderJob): Promise<string | undefined> {
    const limitMs = this.#worker === undefined ? FIRST_JOB_LIMIT_MS : JOB_LIMIT_MS;
    const worker = this.#worker ?? this.#start();
    const { promise, resolve } = Promise.withResolvers<RenderResponse | undefined>();
    const give = (): void => resolve(undefined);
    worker.once('message', resolve).once('error', give).once('exit', give);
    const id = ++this.#lastId;
    worker.postMessage({ id, job } satisfies RenderRequest);
    const response = await waitAtMost(promise, limitMs);
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

function digestOf(job: RenderJob): string {
  const { kind, text } = job;
  const place = kind === 'code' ? [job.name] : [job.base, job.query];
  return createHash('sha256')
    .update(JSON.stringify([kind, ...place]))
    .update(text)
    .digest('base64');
}
