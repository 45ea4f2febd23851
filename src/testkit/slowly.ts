import { setTimeout as delay } from 'node:timers/promises';

/** Passes on what a reader takes, `pauseMs` after it was read: a client slower than the server. */
export async function* slowly<T>(items: AsyncIterable<T>, pauseMs: number): AsyncGenerator<T> {
  for await (const item of items) {
    await delay(pauseMs);
    yield item;
  }
}
