import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReplayableRequests } from './replay.ts';

async function* numbers(upTo: number) {
  for (let i = 1; i <= upTo; i++) yield i;
}

async function collect(requests: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const request of requests) all.push(request);
  return all;
}

test('each attempt receives the requests from the first one', async () => {
  const requests = new ReplayableRequests(numbers(5));
  const first = requests.attempt();
  assert.deepEqual([(await first.next()).value, (await first.next()).value], [1, 2]);

  assert.equal(requests.canReplay, true);
  assert.deepEqual(await collect(requests.attempt()), [1, 2, 3, 4, 5]);
});

test('a message that an abandoned attempt waited for is not lost', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  async function* slow() {
    await promise;
    yield 'late';
  }
  const requests = new ReplayableRequests(slow());
  void requests.attempt().next();
  const second = requests.attempt().next();

  resolve();

  assert.deepEqual(await second, { done: false, value: 'late' });
});

test('an abandoned attempt that waits takes no message from the next one after the commit', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  async function* slow() {
    yield 'first';
    await promise;
    yield 'late';
  }
  const requests = new ReplayableRequests(slow());
  const abandoned = requests.attempt();
  await abandoned.next();
  void abandoned.next();
  const second = requests.attempt();
  await second.next();
  const late = second.next();
  requests.commit();

  resolve();

  assert.deepEqual(await late, { done: false, value: 'late' });
});

test('no more than 16 messages are kept', async () => {
  for (const [count, canReplay] of [
    [16, true],
    [17, false],
    [40, false],
  ] as const) {
    const requests = new ReplayableRequests(numbers(count));

    assert.equal((await collect(requests.attempt())).length, count);
    assert.equal(requests.canReplay, canReplay, `${count} messages`);
  }
});

test('no message is kept after the commit', async () => {
  const requests = new ReplayableRequests(numbers(3));
  const attempt = requests.attempt();
  await attempt.next();
  requests.commit();

  assert.deepEqual(await collect(attempt), [2, 3]);
  assert.equal(requests.canReplay, false);
});

test('a commit during the second attempt loses none of the kept messages', async () => {
  const requests = new ReplayableRequests(numbers(6));
  await collect(requests.attempt());
  const second = requests.attempt();
  await second.next();

  requests.commit();

  assert.deepEqual(await collect(second), [2, 3, 4, 5, 6]);
});

test("closing ends the caller's iterable", async () => {
  let isEnded = false;
  async function* source() {
    try {
      for (;;) yield 1;
    } finally {
      isEnded = true;
    }
  }
  const requests = new ReplayableRequests(source());
  await requests.attempt().next();

  await requests.close();

  assert.equal(isEnded, true);
});

// Nothing waits for the end of the source, so that its error ended the process.
test('a source that fails to clean up does not fail the end of its call', async () => {
  const requests = new ReplayableRequests(
    (async function* () {
      try {
        yield* [1, 2];
      } finally {
        await Promise.reject(new Error('cannot clean up'));
      }
    })(),
  );
  await requests.attempt().next();

  await requests.close();
});
