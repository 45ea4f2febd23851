import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { BackgroundQueue } from './background-queue.ts';

/** Jobs that run until the test ends them, or the queue aborts them. */
class Jobs {
  readonly started: string[] = [];
  readonly errors: unknown[] = [];
  readonly #ends = new Map<string, PromiseWithResolvers<void>>();

  job(key: string) {
    return {
      key,
      run: async (signal: AbortSignal): Promise<void> => {
        this.started.push(key);
        const end = Promise.withResolvers<void>();
        this.#ends.set(key, end);
        signal.addEventListener('abort', () => end.reject(new Error('aborted')));
        await end.promise;
      },
      onError: (error: unknown): void => void this.errors.push(error),
    };
  }

  async end(key: string, error?: Error): Promise<void> {
    if (error === undefined) this.#ends.get(key)?.resolve();
    else this.#ends.get(key)?.reject(error);
    await immediate();
  }
}

test('a few jobs run at a time, the others in the order in which they were added', async () => {
  const jobs = new Jobs();
  await using queue = new BackgroundQueue({ maxRunning: 2, maxWaiting: 2 });

  const added = ['a', 'b', 'c', 'd', 'e'].map((key) => queue.add(jobs.job(key)));
  assert.deepEqual(added, [true, true, true, true, false]);
  assert.deepEqual(jobs.started, ['a', 'b']);

  await jobs.end('b');
  assert.deepEqual(jobs.started, ['a', 'b', 'c']);
  await jobs.end('a', new Error('failed'));
  assert.deepEqual(jobs.started, ['a', 'b', 'c', 'd']);
  assert.deepEqual(jobs.errors, [new Error('failed')]);
});

test('a job is not added while one with its key runs or waits', async () => {
  const jobs = new Jobs();
  await using queue = new BackgroundQueue({ maxRunning: 1, maxWaiting: 5 });
  queue.add(jobs.job('a'));
  queue.add(jobs.job('b'));

  assert.equal(queue.add(jobs.job('a')), false);
  assert.equal(queue.add(jobs.job('b')), false);

  await jobs.end('a');
  assert.equal(queue.add(jobs.job('a')), true);
});

test('the end of the queue aborts what runs, drops what waits, and is no error of a job', async () => {
  const jobs = new Jobs();
  const queue = new BackgroundQueue({ maxRunning: 1, maxWaiting: 5 });
  queue.add(jobs.job('a'));
  queue.add(jobs.job('b'));

  await queue[Symbol.asyncDispose]();

  assert.deepEqual(jobs.started, ['a']);
  assert.deepEqual(jobs.errors, []);
  assert.equal(queue.add(jobs.job('c')), false);
});

test('the end of the queue waits for running jobs', async () => {
  const queue = new BackgroundQueue({ maxRunning: 1, maxWaiting: 1 });
  const end = Promise.withResolvers<void>();
  let isEnded = false;
  queue.add({ key: 'a', run: () => end.promise, onError: () => {} });
  const disposed = queue[Symbol.asyncDispose]().then(() => {
    isEnded = true;
  });

  await immediate();
  assert.equal(isEnded, false);
  end.resolve();
  await disposed;
});
