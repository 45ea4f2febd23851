import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { Fetch } from './fetch.ts';
import { exactFetchKey, fetchKey } from './fetch-key.ts';
import type { FetchRequest } from './request-parser.ts';

/** The packs of small repositories; the pack of a larger one costs more than the start of git. */
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
const MAX_ANSWERS = 1000;
const MAX_AGE_MS = 5 * 60_000;
/** Most clients fetch a few branches; a mirror fetches all references. */
const MAX_REQUEST_LENGTH = 16 * 1024;
/**
 * Arguments with which the answer depends on nothing but the objects and the references. Without
 * `have` and `shallow`: the client has nothing.
 */
const ARGUMENT = /^(?:thin-pack|no-progress|include-tag|ofs-delta|done|deepen \d+|filter [\w:=.]+)$/;
/** git's responses end with it. */
const FLUSH = Buffer.from('0000');

/** Place of an answer. */
export interface KeptPlace {
  readonly answer: Buffer | undefined;
  /** Keeps an answer that was made since the look-up, unless the repository has changed. */
  keep(answer: AnswerCopy, signal: AbortSignal): Promise<void>;
}

/**
 * Answers to clones of small repositories. The same clone is often repeated (by the jobs of a
 * pipeline, for example), and git starts two processes for it.
 *
 * They need another key than shared answers. They are repeated although no setting allows it, so
 * they must be what git would answer now ({@link exactFetchKey}).
 */
export class KeptAnswers {
  readonly #answers = new BoundedMap<string, Buffer>({
    maxEntries: MAX_ANSWERS,
    maxWeight: MAX_TOTAL_BYTES,
    weigh: (answer) => answer.length,
    maxAgeMs: MAX_AGE_MS,
  });

  /**
   * Looks up a request.
   *
   * @param key of shared answers.
   * @returns `undefined` for requests whose answers are never kept.
   */
  async find(key: string, fetch: Fetch, request: FetchRequest): Promise<KeptPlace | undefined> {
    const exact = isRepeatable(request) ? await exactFetchKey(key, fetch, request) : undefined;
    if (exact === undefined) return undefined;
    return {
      answer: this.#answers.get(exact),
      keep: async ({ bytes }, signal) => {
        const now = fetchKey(fetch, request);
        if (bytes === undefined || now === undefined) return;
        if ((await exactFetchKey(now, { ...fetch, signal }, request)) === exact)
          this.#answers.set(exact, bytes);
      },
    };
  }
}

/** Reports whether the answer to a request may be kept. */
export function isRepeatable({ isDone, key, others }: FetchRequest): boolean {
  return isDone && key.length <= MAX_REQUEST_LENGTH && others.every((word) => ARGUMENT.test(word));
}

/** A copy of a response, unless it becomes too long. */
export class AnswerCopy {
  #chunks: Buffer[] | undefined = [];
  #length = 0;

  /** Returns the complete response; `undefined` if it is too long or has no proper end. */
  get bytes(): Buffer | undefined {
    const bytes = this.#chunks && keptBytes(this.#chunks);
    return bytes?.subarray(-FLUSH.length).equals(FLUSH) ? bytes : undefined;
  }

  add(chunk: Buffer): void {
    this.#length += chunk.length;
    if (this.#length > MAX_ANSWER_BYTES) this.#chunks = undefined;
    this.#chunks?.push(Buffer.from(chunk)); // the writer uses its buffer again
  }
}
