import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileStamp } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import { FallBackToGit } from '#git/command/in-process';
import { directoriesKey } from '#git/repository-files/git-directory';
import { stampOfRepository } from '#git/repository-files/repository-stamp';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import type { Fetch } from './fetch.ts';
import type { FetchRequest } from './request-parser.ts';

/** The packs of small repositories; the pack of a larger one costs more than the start of git. */
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
const MAX_ANSWERS = 1000;
const MAX_AGE_MS = 5 * 60_000;
/** Most clients fetch a few branches; a mirror fetches all references. */
const MAX_REQUEST_LENGTH = 16 * 1024;
/** A repository with longer lists of references is not small. */
const MAX_REFERENCES_BYTES = 128 * 1024;
/**
 * Arguments with which the answer depends on nothing but the objects and the references. Without
 * `have` and `shallow`: the client has nothing.
 */
const ARGUMENT = /^(?:thin-pack|no-progress|include-tag|ofs-delta|done|deepen \d+|filter [\w:=.]+)$/;
/** git's responses end with it. */
const FLUSH = Buffer.from('0000');

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

/**
 * Returns a key of everything that a right answer depends on: the request, the settings and the
 * repository. References are not among them, because a request names objects by their ids.
 *
 * @returns `undefined` if the answer depends on more.
 */
export function fetchKey(
  { config, gitProtocol, repository }: Fetch,
  { key }: FetchRequest,
): string | undefined {
  const { path } = repository;
  if (existsSync(join(path, 'shallow')) || existsSync(join(path, 'info', 'grafts'))) return undefined;
  const stamps = [stampOfRepository(repository), fileStamp(join(path, 'config'))];
  const facts = [directoriesKey(repository), stamps, config, gitProtocol, key];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}

/**
 * Adds to a key what an answer depends on that is to equal git's of this moment: all references
 * (tags are included in packs) and the directory of packs.
 *
 * @returns `undefined` if git has to answer. Each wanted object must be the tip of a visible
 *   reference, so that it must exist.
 */
async function exactFetchKey(
  key: string,
  { config, repository, signal }: Fetch,
  { wants }: FetchRequest,
): Promise<string | undefined> {
  // Before the references are read: a change in between then gives a key that never matches.
  const packs = fileStamp(join(repository.objectDirectory, 'pack'));
  const pieces = await advertisedPackets(repository, { config, signal }, ({ hidden }) => {
    if (hidden.names.some(mayHideTags)) throw new FallBackToGit('tags are hidden');
    return { peel: false, symrefs: false, unborn: false, prefixes: [] };
  });
  if (pieces === undefined) return undefined;
  const references = Buffer.concat(pieces);
  if (references.length > MAX_REFERENCES_BYTES) return undefined;
  if (!wants.every((want) => references.includes(want))) return undefined;
  return createHash('sha256').update(`${key} ${packs}\n`).update(references).digest('base64');
}

/** git includes tags in packs although they are hidden. */
function mayHideTags(rule: Buffer): boolean {
  return /^!?refs(?:\/?$|\/tags)/.test(rule.toString('latin1'));
}
