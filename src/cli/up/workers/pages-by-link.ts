import { GitalyError } from '#base/gitaly-error';
import { pageAccess } from '#gateway/http/pages/serve-page';
import type { Authenticator, PageAnswer, PageRequest, PageSource } from '#gateway/index';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

const PAGE = 'page';
/** Pieces of a live page that wait for a slow client; beyond it the page ends, and is opened again. */
const MAX_WAITING = 64;

/** The part of a request that a message can carry. */
type PlainRequest = Omit<PageRequest, 'access' | 'signal'>;
/** The part of an answer that a message can carry. */
type PlainAnswer = Omit<PageAnswer, 'stream'>;
/** Sent before and during the stream of an answer. */
type Note = { readonly head: PlainAnswer } | { readonly piece: string };

export interface SharePagesOptions {
  readonly pages: PageSource;
  /** `undefined` if everybody may read everything. */
  readonly authenticator: Authenticator | undefined;
}

/**
 * Lets workers show the pages of this process, which checks the rights of their clients.
 *
 * @param options returns what is open now.
 */
export function sharePages(desk: Desk, options: () => SharePagesOptions | undefined): void {
  desk.onAsked(PAGE, async (value, { note, signal }) => {
    const opened = options();
    if (opened === undefined) throw new GitalyError('UNAVAILABLE', 'the pages are not open');
    const { authenticator, pages } = opened;
    const request = value as PlainRequest; // from `RemotePages`
    const access = pageAccess(authenticator, request);
    const { stream, ...head } = await pages.answer({ ...request, signal, access });
    if (stream === undefined) return { value: head };
    note({ head } satisfies Note);
    for await (const piece of stream) {
      if (signal.aborted) break;
      note({ piece } satisfies Note);
    }
    return {};
  });
}

/** The pages of the supervisor. */
export class RemotePages implements PageSource {
  readonly #link: Link;
  readonly #ending = new AbortController();

  constructor(link: Link) {
    this.#link = link;
  }

  async answer({ access: _, signal, ...request }: PageRequest): Promise<PageAnswer> {
    const head = Promise.withResolvers<PageAnswer>();
    const own = new AbortController();
    const pieces = new Pieces(() => own.abort());
    const either = AbortSignal.any([signal, own.signal, this.#ending.signal]);
    const asked = this.#link.ask(PAGE, request satisfies PlainRequest, {
      signal: either,
      onNote: (value) => {
        const note = value as Note; // from `sharePages`
        if ('piece' in note) pieces.add(note.piece);
        else head.resolve({ ...note.head, stream: pieces.read() });
      },
    });
    // The end of a stream, for whatever reason; a page without one is the answer.
    asked.then(
      ({ value }) => {
        pieces.end();
        head.resolve(value as PlainAnswer);
      },
      (error: unknown) => {
        pieces.end();
        head.reject(error);
      },
    );
    return await head.promise;
  }

  endStreams(): void {
    this.#ending.abort();
  }
}

/** Pieces of a live page on their way to its client. */
class Pieces {
  readonly #onStopped: () => void;
  readonly #waiting: string[] = [];
  #change = Promise.withResolvers<void>();
  #isEnded = false;

  /** @param onStopped called when there are no readers any more. */
  constructor(onStopped: () => void) {
    this.#onStopped = onStopped;
  }

  add(piece: string): void {
    if (this.#waiting.length >= MAX_WAITING) this.#onStopped();
    else this.#waiting.push(piece);
    this.#changed();
  }

  end(): void {
    this.#isEnded = true;
    this.#changed();
  }

  async *read(): AsyncGenerator<string> {
    try {
      while (this.#waiting.length > 0 || !this.#isEnded) {
        const { promise } = this.#change;
        yield* this.#waiting.splice(0);
        if (!this.#isEnded) await promise;
      }
    } finally {
      this.#onStopped();
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }
}
