import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { StdinRequests } from './stdin-requests.ts';

const toText = (data: Uint8Array) => `${data.byteLength}`;

async function collect(requests: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const request of requests) all.push(request);
  return all;
}

test('the first request precedes the bytes, which are split at 128 KiB', async () => {
  const stdin = Readable.from([Buffer.alloc(10), Buffer.alloc(0), Buffer.alloc(300_000)]);

  assert.deepEqual(await collect(new StdinRequests('first', stdin, toText)), [
    'first',
    '10',
    '131072',
    '131072',
    '37856',
  ]);
});

test('the first request does not wait for a byte', async () => {
  const requests = new StdinRequests('first', new PassThrough(), toText)[Symbol.asyncIterator]();

  assert.deepEqual(await requests.next(), { done: false, value: 'first' });
});

test('stopping does not wait for a byte either, and leaves stdin open', async () => {
  const stdin = new PassThrough();
  const requests = new StdinRequests('first', stdin, toText)[Symbol.asyncIterator]();
  await requests.next();
  const pending = requests.next();

  await requests.return?.();

  assert.deepEqual(await pending, { done: true, value: undefined });
  assert.equal(stdin.destroyed, false);
});

test('an error of stdin is thrown and recorded', async () => {
  const stdin = new PassThrough();
  const requests = new StdinRequests('first', stdin, toText);
  const collecting = collect(requests);

  stdin.destroy(new Error('terminal gone'));

  await assert.rejects(collecting, { message: 'terminal gone' });
  assert.ok(requests.error instanceof Error);
});
