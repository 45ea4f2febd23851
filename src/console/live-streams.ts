import { setTimeout as delay } from 'node:timers/promises';
import type { PageAnswer } from '#gateway/http/pages/page-source';
import type { ConsolePage } from './page.ts';

/** Interval at which a page is read again for its reader. */
const READ_EVERY_MS = 2000;
/** Proxies close connections without traffic; also the silence after which a comment is sent. */
const KEEP_ALIVE_MS = 15_000;
/** Pause of browsers before they connect again. */
const RETRY_MS = 3000;
/** Each reads a page every two seconds. Further readers poll. */
const MAX_STREAMS = 64;
const HEADERS = {
  'Content-Type': 'text/event-stream',
  'X-Accel-Buffering': 'no', // nginx passes each event on at once
} as const;

/** The page does not change any more. */
const END = 'event: end\ndata:\n\n';

/** Reads a page with the rights that its reader has now. */
export type ReadPage = () => Promise<ConsolePage | PageAnswer>;

/** Live pages as server-sent events: an event is the changed content of a page, as a JSON string. */
export class LiveStreams {
  readonly #ending = new AbortController();
  #count = 0;

  /** Ends all streams. Browsers connect again. */
  end(): void {
    this.#ending.abort();
  }

  /**
   * Returns the response to a request for the events of a page: a refusal if the page is refused.
   *
   * @throws what `read` throws.
   */
  async answer(read: ReadPage, signal: AbortSignal): Promise<PageAnswer> {
    if (this.#isFull) return plain(503, 'Too many pages are open. Reload to see changes.');
    const page = await read();
    if ('headers' in page) return page;
    if (page.status !== undefined) return plain(page.status, page.title);
    return { status: 200, headers: HEADERS, body: '', stream: this.#events(page, read, signal) };
  }

  get #isFull(): boolean {
    return this.#count >= MAX_STREAMS || this.#ending.signal.aborted;
  }

  async *#events(
    first: ConsolePage,
    read: ReadPage,
    signal: AbortSignal,
  ): AsyncGenerator<string, void, undefined> {
    if (this.#isFull) return;
    const either = AbortSignal.any([signal, this.#ending.signal]);
    this.#count++;
    try {
      yield `retry: ${RETRY_MS}\n\n`;
      let [sent, sentAtMs] = ['', performance.now()];
      for (let page: ConsolePage | PageAnswer = first; isShown(page); page = await read()) {
        const content = page.body.toString();
        const isDue = content !== sent || performance.now() - sentAtMs >= KEEP_ALIVE_MS;
        if (isDue) {
          yield content === sent ? ':\n\n' : `data: ${JSON.stringify(content)}\n\n`;
          [sent, sentAtMs] = [content, performance.now()];
        }
        if (page.isLive !== true) return yield END;
        await delay(READ_EVERY_MS, undefined, { signal: either, ref: false });
      }
    } catch (error) {
      if (!either.aborted) throw error;
    } finally {
      this.#count--;
    }
  }
}

/** Reports whether a page is not a refusal: its reader may have lost a right. */
function isShown(page: ConsolePage | PageAnswer): page is ConsolePage {
  return !('headers' in page) && page.status === undefined;
}

function plain(status: number, text: string): PageAnswer {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: `${text}\n` };
}
