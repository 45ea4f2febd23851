import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { test } from 'node:test';
import type { Connection } from '#client/connection';
import { toBytes } from '#client/repository/values';
import { literalPaths, RepositoryCalls, type StorageCaller } from './storage-calls.ts';

const scope = new AsyncLocalStorage<string>();

/** Runs the work of each call in a separate scope. */
const caller: StorageCaller = {
  call: (storage, work, { timeout } = {}) =>
    // The work below does not use the connection.
    scope.run(`${storage} ${timeout}`, () => work({} as Connection)),
};

/** A stream that notes how it ends. */
class Numbers {
  readonly events: string[] = [];
  readonly #failAt: number;

  constructor(failAt = Infinity) {
    this.#failAt = failAt;
  }

  [Symbol.asyncIterator](): AsyncIterator<number, undefined> {
    let last = 0;
    return {
      next: async () => {
        this.events.push(`next in ${scope.getStore()}`);
        last++;
        if (last === this.#failAt) throw new Error('failed');
        return last > 3 ? { done: true, value: undefined } : { done: false, value: last };
      },
      return: async () => {
        this.events.push('return');
        return { done: true, value: undefined };
      },
    };
  }
}

class Calls extends RepositoryCalls {
  numbers(stream: Numbers): AsyncGenerator<number, void, undefined> {
    return this.each('fast', () => stream);
  }
}

const calls = new Calls(caller, { storageName: 'default', relativePath: 'a.git' });
const NEXT = 'next in default fast';

test('a stream that is read to its end is not closed, and is read in the scope of its call', async () => {
  const stream = new Numbers();

  assert.deepEqual(await Array.fromAsync(calls.numbers(stream)), [1, 2, 3]);

  assert.deepEqual(stream.events, [NEXT, NEXT, NEXT, NEXT]);
});

test('a reader that leaves closes the stream', async () => {
  const stream = new Numbers();

  for await (const number of calls.numbers(stream)) if (number === 2) break;

  assert.deepEqual(stream.events, [NEXT, NEXT, 'return']);
});

test('a stream that fails is not closed, and nothing starts before it is read', async () => {
  const stream = new Numbers(2);
  const numbers = calls.numbers(stream);
  assert.deepEqual(stream.events, []);

  await assert.rejects(Array.fromAsync(numbers), { message: 'failed' });

  assert.deepEqual(stream.events, [NEXT, NEXT]);
});

test('texts become bytes in UTF-8, paths literal on request', () => {
  const data = Buffer.from([0xff]);
  assert.deepEqual(toBytes('ä'), Buffer.from([0xc3, 0xa4]));
  assert.equal(toBytes(data), data);
  assert.deepEqual(literalPaths(true), { globalOptions: { literalPathspecs: true } });
  assert.deepEqual(literalPaths(false), {});
});
