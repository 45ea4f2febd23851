import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { type HandlerContext, serve } from '../handler.ts';
import type { ServerInterceptor } from '../server-call.ts';
import { ABORTED_TEXT, mapStatus, rewriteAborted } from './status-mapping.ts';

const findCommit = callable(CommitService.method.findCommit);
const DETAIL = create(LimitErrorSchema, { errorMessage: 'later' });

/** A service that fails in one way, and the errors that leave its interceptors. */
function failing(fail: (context: HandlerContext) => Promise<never>) {
  const errors: unknown[] = [];
  const keep: ServerInterceptor = () => ({ end: (_call, failure) => void errors.push(failure) });
  const server = connectTo({
    services: [serve(CommitService, { findCommit: (_request, context) => fail(context) })],
    interceptors: [keep, rewriteAborted, mapStatus],
  });
  return { server, errors };
}

/** Waits for the end of the call, and then fails in the handler's own way. */
async function failAfterEnd({ signal }: HandlerContext, error: unknown): Promise<never> {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  throw error;
}

test('an error without a code is INTERNAL, and one with a code keeps it', async () => {
  for (const [error, code, message] of [
    [new Error('exit status 1'), 'INTERNAL', 'exit status 1'],
    [new GitalyError('UNKNOWN', 'who knows'), 'INTERNAL', 'who knows'],
    [new GitalyError('NOT_FOUND', 'nothing'), 'NOT_FOUND', 'nothing'],
  ] as const) {
    const { server } = failing(async () => {
      throw error;
    });
    await using _ = server;

    await assert.rejects(only(server.channel.invoke(findCommit, [{}])), { code, message });
  }
});

test('ABORTED gets a text for people, keeps its details, and its own text is for the log', async () => {
  const { server, errors } = failing(async () => {
    throw new GitalyError('ABORTED', 'reference is locked', { details: [DETAIL], metadata: { ref: 'main' } });
  });
  await using _ = server;

  await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
    code: 'ABORTED',
    message: ABORTED_TEXT,
  });
  const [error] = errors;
  assert.ok(error instanceof GitalyError);
  assert.deepEqual(error.details, [DETAIL]);
  assert.deepEqual(error.metadata, { ref: 'main', error_details: 'reference is locked' });
});

for (const { what, options, code } of [
  // Long enough for the call to reach the handler on a busy machine.
  { what: 'a passed deadline', options: { timeoutMs: 1000 }, code: 'DEADLINE_EXCEEDED' },
  { what: 'a cancel', options: {}, code: 'CANCELLED' },
] as const) {
  test(`after ${what} the call has that code, with the text and details of the handler`, async () => {
    const entered = Promise.withResolvers<void>();
    const { server, errors } = failing((context) => {
      entered.resolve();
      const details = { details: [DETAIL], metadata: { pid: 7 } };
      return failAfterEnd(context, new GitalyError('NOT_FOUND', 'exit status 128', details));
    });
    await using _ = server;
    const left = new AbortController();

    const call = only(server.channel.invoke(findCommit, [{}], { ...options, signal: left.signal }));
    call.catch(() => {});
    await entered.promise;
    if (code === 'CANCELLED') left.abort();

    await assert.rejects(call, { code });
    while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [error] = errors;
    assert.ok(error instanceof GitalyError);
    // The client's side ends by its own deadline, too, and that can be seen first.
    assert.ok(error.code === code || error.code === 'CANCELLED', error.code);
    assert.equal(error.message, 'exit status 128');
    assert.deepEqual([error.details, error.metadata], [[DETAIL], { pid: 7 }]);
  });
}

test('a handler that fails with the reason of the end fails with just that', async () => {
  let reason: unknown;
  const entered = Promise.withResolvers<void>();
  const { server, errors } = failing(async ({ signal }) => {
    entered.resolve();
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    reason = signal.reason;
    throw signal.reason;
  });
  await using _ = server;
  const left = new AbortController();

  const call = only(server.channel.invoke(findCommit, [{}], { signal: left.signal }));
  call.catch(() => {});
  await entered.promise;
  left.abort();

  await assert.rejects(call);
  while (errors.length === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(errors[0], reason);
});
