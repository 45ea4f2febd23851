import { setTimeout as delay } from 'node:timers/promises';

/** Yields each item `pauseMs` after it was read, like a client that is slower than the server. */
export async function* slowly<T>(items: AsyncIterable<T>, pauseMs: number): AsyncGenerator<T> {
  for await (const item of items) {
    await delay(pauseMs);
    yield item;
  }
}
