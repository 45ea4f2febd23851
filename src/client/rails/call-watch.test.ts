import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { replaceMethod } from '#testkit/replace-method';
import { RefService } from '#wire/gen/ref_pb';
import { methodInfo } from '#wire/method-info';
import type { Invocation } from '../call/call-types.ts';
import { CallWatch, type WatchedCall } from './call-watch.ts';
import type { CallDetail, RequestStore } from './request-store.ts';

const REQUEST = { ref: Buffer.from('refs/heads/main') };
const SCOPE = { storage: 'default', address: 'unix:x', frames: ['render (app.js:1:2)'] };
const WAIT_MS = 30;
const PAUSE_MS = 1000;

/** Watches a call with these responses, each of which takes a while. */
function watch(context: TestContext, results: readonly unknown[], call: Partial<WatchedCall> = {}) {
  const clock = { nowMs: 5 };
  replaceMethod(context, performance, 'now', () => clock.nowMs);
  const notes: string[] = [];
  const circuit = { noteAnswer: () => notes.push('answer'), noteRefusal: () => notes.push('refusal') };
  let isClosed = false;
  const left = [...results];
  const responses = {
    [Symbol.asyncIterator]: () => ({
      async next(): Promise<IteratorResult<unknown>> {
        clock.nowMs += WAIT_MS;
        if (left.length === 0) return { done: true, value: undefined };
        const value = left.shift();
        if (value instanceof Error) throw value;
        return { done: false, value };
      },
      async return(): Promise<IteratorResult<unknown>> {
        isClosed = true;
        return { done: true, value: undefined };
      },
    }),
  };
  const invocation: Invocation = {
    ...{ method: methodInfo(RefService.method.refExists), requests: [REQUEST], options: {} },
  };
  const watched = { scope: SCOPE, store: undefined, startMs: 5, circuit, ...call };
  return {
    clock,
    notes,
    isClosed: () => isClosed,
    watch: new CallWatch(responses, invocation, watched),
    streamed: new CallWatch(responses, { ...invocation, requests: responses }, watched),
  };
}

/** The counters of a request. */
function store(details?: CallDetail[]): RequestStore {
  return {
    ...{ sessionId: 's', deadline: undefined, context: {}, actualCalls: 0, permittedCalls: 0 },
    ...{ isLimited: true, stacks: undefined, commits: undefined, queryMs: 7, details },
  };
}

test('only the waiting time counts, and is added once', async (context) => {
  const details: CallDetail[] = [];
  const counters = store(details);
  const { clock, watch: responses } = watch(context, [1, 2], { store: counters });
  const seen: unknown[] = [];

  for await (const response of responses) {
    seen.push(response);
    clock.nowMs += PAUSE_MS; // the reader's pause
  }
  assert.deepEqual(await responses.next(), { done: true, value: undefined });
  await responses.return();

  assert.deepEqual(seen, [1, 2]);
  assert.equal(counters.queryMs, 7 + 3 * WAIT_MS);
  assert.deepEqual(details, [
    {
      ...{ startMs: 5, durationMs: 3 * WAIT_MS, feature: 'ref_service#ref_exists', rpc: 'ref_exists' },
      ...{ request: REQUEST, backtrace: SCOPE.frames },
    },
  ]);
});

test('a reader that leaves closes the call, which is recorded', async (context) => {
  const details: CallDetail[] = [];
  const { isClosed, streamed } = watch(context, [1, 2], { store: store(details), scope: undefined });

  for await (const _ of streamed) break;

  assert.equal(isClosed(), true);
  assert.partialDeepStrictEqual(details, [{ durationMs: WAIT_MS, request: {}, backtrace: [] }]);
  assert.equal(details.length, 1);
});

test('a call that was read to its end is not closed', async (context) => {
  const { isClosed, watch: responses } = watch(context, [1]);
  await Array.fromAsync(responses);

  await responses.return();

  assert.equal(isClosed(), false);
});

test('a circuit learns once that a call was answered, and of a limit that refused it', async (context) => {
  const answered = watch(context, [1, 2]);
  await Array.fromAsync(answered.watch);
  assert.deepEqual(answered.notes, ['answer']);

  const refused = watch(context, [new GitalyError('RESOURCE_EXHAUSTED', 'busy')]);
  await assert.rejects(refused.watch.next(), { code: 'RESOURCE_EXHAUSTED' });
  assert.deepEqual(refused.notes, ['refusal']);

  const broken = watch(context, [new GitalyError('INTERNAL', 'broken')]);
  await assert.rejects(broken.watch.next(), { code: 'INTERNAL' });
  assert.deepEqual(broken.notes, []);
});

test('an error has the names of its call, and its time is recorded', async (context) => {
  const counters = store();
  const error = new GitalyError('INTERNAL', 'broken');
  const { watch: responses } = watch(context, [error], { store: counters });

  await assert.rejects(responses.next(), error);

  assert.deepEqual(Object(error).gitalyErrorMetadata, {
    ...{ storage: 'default', address: 'unix:x', service: 'ref_service', rpc: 'ref_exists' },
  });
  assert.equal(counters.queryMs, 7 + WAIT_MS);
  assert.deepEqual(await responses.next(), { done: true, value: undefined });
});
