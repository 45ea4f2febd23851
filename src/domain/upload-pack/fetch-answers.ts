import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { BoundedMap } from '#base/bounded-map';
import { fileStamp } from '#base/files/file-stamp';
import { keptBytes } from '#base/kept-bytes';
import type { ConfigPair } from '#git/command/config';
import { FallBackToGit } from '#git/in-process';
import type { Repository } from '#storage/repository';
import { advertisedPackets } from '../git-service/advertised-packets.ts';
import { forwardTo } from './advertisement-output.ts';
import { type SmallFetchRequest, smallFetchRequest } from './small-fetch-request.ts';

/** The packs of small repositories; the pack of a larger one costs more than the start of git. */
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_TOTAL_BYTES = 8 * 1024 * 1024;
const MAX_ANSWERS = 1000;
const MAX_AGE_MS = 5 * 60_000;
/** A repository with longer lists of references is not small. */
const MAX_REFERENCES_BYTES = 128 * 1024;

/** git's responses end with it. */
const FLUSH = Buffer.from('0000');

/** A request, and the place where its response is or will be kept. */
export interface FetchQuestion {
  /** The response, if git has given it before. */
  readonly answer: Buffer | undefined;
  /** Returns an output for git that passes all bytes on and keeps a copy. */
  observe(target: Writable): Writable;
  /** Keeps the observed answer, unless the repository has changed since the question. */
  keep(): Promise<void>;
}

export interface FetchAnswerOptions {
  readonly config: readonly ConfigPair[];
  readonly signal: AbortSignal;
}

/**
 * Answers of `git upload-pack` to clones of small repositories. The same clone is often repeated
 * (by the jobs of a pipeline, for example), and git starts two processes for it.
 *
 * An answer is used again while everything is unchanged that it depends on: the request without
 * the client's name, the settings, the references (all of them, because tags are included in
 * packs), and the directory of packs. Only answers about the tips of references are kept, whose
 * objects must exist.
 */
export class FetchAnswers {
  readonly #answers = new BoundedMap<string, Buffer>({
    maxEntries: MAX_ANSWERS,
    maxWeight: MAX_TOTAL_BYTES,
    weigh: (answer) => answer.length,
    maxAgeMs: MAX_AGE_MS,
  });

  /**
   * Looks up a request. @param bytes all that the client has sent. @returns `undefined` for
   * requests whose answers are never kept.
   */
  async ask(
    repository: Repository,
    bytes: Buffer,
    parts: FetchAnswerOptions,
  ): Promise<FetchQuestion | undefined> {
    const request = smallFetchRequest(bytes);
    const key = request && (await answerKey(repository, request, parts));
    if (request === undefined || key === undefined) return undefined;
    const answer = this.#answers.get(key);
    const copy = new Copy();
    return {
      answer,
      observe: (target) =>
        forwardTo(target, (chunk) => {
          copy.add(chunk);
          return chunk;
        }),
      keep: async () => {
        const bytesOfAnswer = copy.bytes;
        if (bytesOfAnswer !== undefined && (await answerKey(repository, request, parts)) === key)
          this.#answers.set(key, bytesOfAnswer);
      },
    };
  }
}

/** A copy of a response, unless it becomes too long. */
class Copy {
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

/** git includes tags in packs although they are hidden. */
function mayHideTags(rule: Buffer): boolean {
  return /^!?refs(?:\/?$|\/tags)/.test(rule.toString('latin1'));
}

/** Returns a key of everything that the answer depends on; `undefined` if git has to answer. */
async function answerKey(
  repository: Repository,
  request: SmallFetchRequest,
  { config, signal }: FetchAnswerOptions,
): Promise<string | undefined> {
  const { objectDirectory, path } = repository;
  // Before the references are read: a change in between then gives a key that never matches.
  const stamps = [
    join(path, 'config'),
    join(objectDirectory, 'pack'),
    join(objectDirectory, 'info', 'alternates'),
  ].map(fileStamp);
  if (existsSync(join(path, 'shallow')) || existsSync(join(path, 'info', 'grafts'))) return undefined;

  const options = { service: 'upload-pack', config, signal } as const;
  const pieces = await advertisedPackets(repository, options, ({ hidden }) => {
    if (hidden.names.some(mayHideTags)) throw new FallBackToGit('tags are hidden');
    return { peel: false, symrefs: false, unborn: false, prefixes: [] };
  });
  if (pieces === undefined) return undefined;
  const references = Buffer.concat(pieces);
  if (references.length > MAX_REFERENCES_BYTES) return undefined;
  if (!request.wants.every((want) => references.includes(want))) return undefined;
  return createHash('sha256')
    .update(JSON.stringify([path, objectDirectory, stamps, config, request.key]))
    .update(references)
    .digest('base64');
}
