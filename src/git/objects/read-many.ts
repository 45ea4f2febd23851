import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import type { CommandRepository } from '../command/command-repository.ts';
import { abortError } from '../command/process/exit-error.ts';
import type { GitProcess } from '../command/process/git-process.ts';
import type { ObjectInfo, RawObject } from '../names/object-info.ts';
import { AnswerParser, type CatFileAnswer } from './cat-file/answer-parser.ts';
import { BodyCollector } from './cat-file/body-collector.ts';
import type { CatFilePool } from './cat-file/cat-file-pool.ts';
import { deadError, isRefusal } from './cat-file/dead-process.ts';

/** Something that names an object by its full id. */
export interface NamedObject {
  readonly oid: string;
}

/** An item of the source and the info of its object; `undefined` if there is none. */
export interface InfoOf<T> {
  readonly item: T;
  readonly info: ObjectInfo | undefined;
}

/** An item of the source and its whole object; `undefined` if there is none. */
export interface ObjectOf<T> {
  readonly item: T;
  readonly object: RawObject | undefined;
}

/** A piece of an object's contents. An empty or missing object has one piece without data. */
export interface PieceOf<T> extends InfoOf<T> {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly data: Buffer;
}

/** Yields the objects to read, in batches; anything that it starts must end with the signal. */
export type ObjectNames<T extends NamedObject> = (
  signal: AbortSignal,
) => AsyncIterable<readonly T[]> | Iterable<readonly T[]>;

export interface ReadManyOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Objects up to this size are one piece. */
const ONE_PIECE_BYTES = 128 * 1024;
/** Limit of one object's memory. */
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const NO_DATA = Buffer.alloc(0);

/** Reads the infos of many objects, like {@link readPieces}. */
export async function* infoMany<T extends NamedObject>(
  pool: CatFilePool,
  repository: CommandRepository,
  source: ObjectNames<T>,
  { signal }: ReadManyOptions = {},
): AsyncGenerator<InfoOf<T>[]> {
  for await (const answers of ask(pool, repository, { source, verb: 'info', signal })) {
    yield answers.map(({ item, answer }) => ({
      item,
      info: answer.kind === 'header' ? answer.info : undefined,
    }));
  }
}

/**
 * Reads many objects whole, like {@link readPieces}.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED when one is bigger than `maxBytes` (default 64 MiB).
 */
export async function* readMany<T extends NamedObject>(
  pool: CatFilePool,
  repository: CommandRepository,
  source: ObjectNames<T>,
  options: ReadManyOptions & { readonly maxBytes?: number } = {},
): AsyncGenerator<ObjectOf<T>[]> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  let kept: BodyCollector | undefined;
  for await (const pieces of readPieces(pool, repository, source, options)) {
    const whole: ObjectOf<T>[] = [];
    for (const { item, info, isLast, data } of pieces) {
      if (info !== undefined && info.size > maxBytes) {
        throw new GitalyError('RESOURCE_EXHAUSTED', `object of ${info.size} bytes exceeds ${maxBytes} bytes`);
      }
      kept ??= new BodyCollector(info?.size ?? 0);
      kept.add(data);
      if (!isLast) continue;
      whole.push({ item, object: info && { ...info, data: kept.data } });
      kept = undefined;
    }
    if (whole.length > 0) yield whole;
  }
}

/**
 * Reads the contents of many objects in the order of the source, as git prints them: objects of any
 * size, those above 128 KiB in pieces and never buffered as a whole. One dedicated process serves
 * all: a slow reader slows it down (and the source, which is read only as the pipe has space), and
 * a reader that stops early ends it.
 *
 * @throws any error of the source, after everything before it was read; {GitalyError} without a
 *   code when git dies.
 */
export async function* readPieces<T extends NamedObject>(
  pool: CatFilePool,
  repository: CommandRepository,
  source: ObjectNames<T>,
  { signal }: ReadManyOptions = {},
): AsyncGenerator<PieceOf<T>[]> {
  let info: ObjectInfo | undefined;
  let isFirst = true;
  let kept: Buffer[] = [];
  for await (const answers of ask(pool, repository, { source, verb: 'contents', signal })) {
    const pieces: PieceOf<T>[] = [];
    for (const { item, answer } of answers) {
      if (answer.kind === 'header') {
        info = answer.info;
        isFirst = true;
        if (info === undefined || info.size === 0)
          pieces.push({ item, info, isFirst, isLast: true, data: NO_DATA });
      } else if (!answer.isLast && info !== undefined && info.size <= ONE_PIECE_BYTES) {
        kept.push(answer.bytes);
      } else {
        const data = kept.length === 0 ? answer.bytes : Buffer.concat([...kept, answer.bytes]);
        kept = [];
        pieces.push({ item, info, isFirst, isLast: answer.isLast, data });
        isFirst = false;
      }
    }
    if (pieces.length > 0) yield pieces;
  }
}

interface Question<T extends NamedObject> {
  readonly source: ObjectNames<T>;
  readonly verb: 'info' | 'contents';
  readonly signal: AbortSignal | undefined;
}

interface AnswerTo<T> {
  readonly item: T;
  readonly answer: Exclude<CatFileAnswer, { kind: 'malformed' }>;
}

/** Feeds a process from the source, and yields its responses with their items. */
async function* ask<T extends NamedObject>(
  pool: CatFilePool,
  repository: CommandRepository,
  question: Question<T>,
): AsyncGenerator<AnswerTo<T>[]> {
  const left = new AbortController();
  const signal =
    question.signal === undefined ? left.signal : AbortSignal.any([question.signal, left.signal]);
  const run = pool.borrow(repository, signal);
  /** Batches of requests without a response. The pipes bound their number. */
  const waiting: (readonly T[])[] = [];
  const feeding = feed(run.stdin, {
    ...question,
    signal,
    delimiter: pool.delimiter,
    asked: (batch) => waiting.push(batch),
  });
  // It may fail long before it is awaited.
  feeding.catch(() => {});
  try {
    const parser = new AnswerParser({
      delimiter: pool.delimiter,
      contents: () => question.verb === 'contents',
    });
    yield* match(parser, outputOf(run, question.signal), waiting);
    const { code } = await run.exited;
    if (code === 0 && parser.isAtRest) await feeding;
    else throw await reasonOfDeath(run, feeding);
  } finally {
    left.abort();
    await run[Symbol.asyncDispose]();
    // An error of the source was thrown above, unless another one came first.
    await feeding.catch(() => {});
  }
}

/**
 * Returns the error of a process that ended. If git did not begin, the source's git did not either,
 * and clients know its error.
 */
async function reasonOfDeath(run: GitProcess, feeding: Promise<void>): Promise<unknown> {
  const error = deadError(run.stderr());
  if (!isRefusal(run.stderr())) return error;
  return await feeding.then(
    () => error,
    (reason: unknown) => reason,
  );
}

/** Assigns responses to the requested items. */
async function* match<T>(
  parser: AnswerParser,
  output: AsyncIterable<Buffer>,
  waiting: (readonly T[])[],
): AsyncGenerator<AnswerTo<T>[]> {
  let next = 0;
  let item: T | undefined;
  for await (const chunk of output) {
    const answers: AnswerTo<T>[] = [];
    for (const answer of parser.feed(chunk)) {
      if (answer.kind === 'malformed') throw answer.error;
      if (answer.kind === 'header') {
        item = waiting[0]?.[next++];
        if (next === waiting[0]?.length) {
          waiting.shift();
          next = 0;
        }
      }
      if (item === undefined) throw new Error('cat-file answered without a question');
      answers.push({ item, answer });
    }
    if (answers.length > 0) yield answers;
  }
}

async function* outputOf(run: GitProcess, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  try {
    yield* run.stdout;
  } catch (error) {
    // An abort closes the stream under the reader.
    throw signal?.aborted === true ? abortError(signal) : error;
  }
}

/**
 * Requests everything from the source, with a flush after every batch, and closes the input. Ends
 * early when the process does.
 */
async function feed<T extends NamedObject>(
  stdin: Writable,
  options: Question<T> & {
    readonly signal: AbortSignal;
    readonly delimiter: number;
    readonly asked: (batch: readonly T[]) => void;
  },
): Promise<void> {
  const { source, verb, signal, asked } = options;
  const end = String.fromCharCode(options.delimiter);
  try {
    for await (const batch of source(signal)) {
      if (stdin.destroyed || signal.aborted) return;
      if (batch.length === 0) continue;
      asked(batch);
      const words = batch.map(({ oid }) => `${verb} ${oid}${end}`).join('');
      if (!stdin.write(`${words}flush${end}`, 'latin1')) await drained(stdin, signal);
    }
  } finally {
    stdin.end();
  }
}

/** Waits until more may be written, or there is no reader any more. */
async function drained(stdin: Writable, signal: AbortSignal): Promise<void> {
  const closed = new AbortController();
  const stop = (): void => closed.abort();
  stdin.once('close', stop);
  try {
    // Rejected when there is no reason to wait any longer, which the caller detects itself.
    await once(stdin, 'drain', { signal: AbortSignal.any([signal, closed.signal]) }).catch(() => {});
  } finally {
    stdin.off('close', stop);
  }
}
