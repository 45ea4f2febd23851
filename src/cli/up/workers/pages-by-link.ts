import { GitalyError } from '#base/gitaly-error';
import {
  bytes,
  either,
  maybe,
  number,
  object,
  oneOf,
  optional,
  record,
  type Shape,
  type Shaped,
  text,
} from '#base/shape';
import { MessageQueue } from '#base/streams/message-queue';
import { ConsolePages, type ConsoleTarget } from '#cli/serve/console-pages';
import { isFileAddress } from '#console/console-route';
import { answerPage, type PageRights } from '#gateway/http/pages/serve-page';
import type { PageAnswer, PageRequest, PageSource } from '#gateway/index';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, protocol, type Remote, remote } from '#workers/protocol';

/** Pieces of a live page that wait for a slow client; beyond it the page ends, and is opened again. */
const MAX_WAITING = 64;

/** Those that decide on rights and answers; further ones are as the client sent them. */
const headers: Shape<PageRequest['headers']> = object({
  accept: optional(text),
  authorization: optional(text),
  host: optional(text),
  origin: optional(text),
  'sec-fetch-site': optional(text),
});
const request = object({
  method: text,
  target: text,
  headers,
  body: bytes,
  scheme: oneOf('http', 'https'),
  remoteAddress: maybe(text),
  apiAddress: maybe(text),
});
const credential = object({ kind: oneOf('password', 'token', 'key'), name: text });
const change = object({ credential, name: text, text });
const head = object({
  status: number,
  change: optional(change),
  headers: record(text),
  body: either(text, bytes),
});
/** Sent before and during the stream of an answer; an answer without a stream has no note. */
const note = either(object({ head }), object({ piece: text }));
const PAGES = protocol('pages', { answer: asked(request, maybe(head), note) });

export interface SharePagesOptions extends PageRights {
  readonly pages: PageSource;
}

/**
 * Lets workers show the pages of this process, which checks the rights of their clients.
 *
 * @param options returns what is open now.
 */
export function sharePages(desk: Desk, options: () => SharePagesOptions | undefined): void {
  answer(desk, PAGES, {
    answer: async (asking, { note: send, signal }) => {
      const opened = options();
      if (opened === undefined) throw new GitalyError('UNAVAILABLE', 'the pages are not open');
      const { stream, ...answered } = await answerPage(opened.pages, { ...asking, signal }, opened);
      if (stream === undefined) return answered;
      send({ head: answered });
      for await (const piece of stream) {
        if (signal.aborted) break;
        if (typeof piece !== 'string') throw new GitalyError('INTERNAL', 'a process sends its files itself');
        send({ piece });
      }
      return undefined;
    },
  });
}

/** The pages that a worker shows: those of the supervisor, and files, which it sends itself. */
export class WorkerPages implements PageSource, AsyncDisposable {
  readonly #remote: RemotePages;
  readonly #own: ConsolePages;

  constructor(link: Link, target: ConsoleTarget) {
    this.#remote = new RemotePages(link);
    this.#own = new ConsolePages({ target });
  }

  async answer(request: PageRequest): Promise<PageAnswer> {
    return await (isFileAddress(request.target) ? this.#own : this.#remote).answer(request);
  }

  endStreams(): void {
    this.#remote.endStreams();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#own[Symbol.asyncDispose]();
  }
}

/** The pages of the supervisor. */
export class RemotePages implements PageSource {
  readonly #pages: Remote<typeof PAGES>;
  readonly #ending = new AbortController();

  constructor(link: Link) {
    this.#pages = remote(link, PAGES);
  }

  async answer({ access: _, signal, ...asking }: PageRequest): Promise<PageAnswer> {
    const begun = Promise.withResolvers<PageAnswer>();
    const own = new AbortController();
    const pieces = new MessageQueue<string>();
    const onNote = (noted: Shaped<typeof note>): void => {
      if ('head' in noted) begun.resolve({ ...noted.head, stream: readPieces(pieces, own) });
      else if (pieces.size < MAX_WAITING) pieces.push(noted.piece);
      else own.abort();
    };
    const ending = AbortSignal.any([signal, own.signal, this.#ending.signal]);
    // The end of a stream, for whatever reason; a page without one is the answer.
    this.#pages
      .answer(asking, { signal: ending, onNote })
      .then((whole) => whole && begun.resolve(whole), begun.reject)
      .finally(() => pieces.end());
    return await begun.promise;
  }

  endStreams(): void {
    this.#ending.abort();
  }
}

/** Yields the pieces of a live page. When the reader stops, the supervisor does, too. */
async function* readPieces(pieces: MessageQueue<string>, stopping: AbortController): AsyncGenerator<string> {
  try {
    yield* pieces;
  } finally {
    stopping.abort();
  }
}
