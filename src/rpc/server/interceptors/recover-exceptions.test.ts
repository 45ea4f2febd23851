import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError, wrap } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import { serve } from '../handler.ts';
import type { ServerCall } from '../server-call.ts';
import { panicError, recoverExceptions } from './recover-exceptions.ts';
import { mapStatus } from './status-mapping.ts';

const findCommit = callable(CommitService.method.findCommit);
const MISTAKE = new TypeError("Cannot read properties of undefined (reading 'x')");

function failing(error: unknown) {
  const reported: unknown[] = [];
  const server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: () => {
          throw error;
        },
      }),
    ],
    interceptors: [
      mapStatus,
      recoverExceptions({ onException: (_call, exception) => reported.push(exception) }),
    ],
  });
  return { server, reported };
}

for (const [name, error] of [
  ['itself', MISTAKE],
  ['in the text of another error', wrap(wrap(MISTAKE, 'reading'), 'finding commit')],
] as const) {
  test(`a mistake in a handler (${name}) ends the call with INTERNAL and is reported`, async () => {
    const { server, reported } = failing(error);
    await using _ = server;

    await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
      code: 'INTERNAL',
      message: `panic: ${MISTAKE.message}`,
    });
    assert.deepEqual(reported, [MISTAKE]);
  });
}

for (const mistake of [
  new RangeError('Invalid array length'),
  new ReferenceError('x is not defined'),
  new SyntaxError('Unexpected end of JSON input'),
  new assert.AssertionError({ message: 'never' }),
]) {
  test(`${mistake.name} is a mistake, too`, async () => {
    const { server, reported } = failing(mistake);
    await using _ = server;

    await assert.rejects(only(server.channel.invoke(findCommit, [{}])), {
      code: 'INTERNAL',
      message: `panic: ${mistake.message}`,
    });
    assert.deepEqual(reported, [mistake]);
  });
}

for (const [name, error, code, message] of [
  ['a plain error', new Error('exit status 1'), 'INTERNAL', 'exit status 1'],
  ['an error with a code', new GitalyError('NOT_FOUND', 'no such commit'), 'NOT_FOUND', 'no such commit'],
  [
    'an error that a mistake was made into on purpose',
    new GitalyError('INVALID_ARGUMENT', 'invalid URL', { cause: MISTAKE }),
    'INVALID_ARGUMENT',
    'invalid URL',
  ],
] as const) {
  test(`${name} is not reported`, async () => {
    const { server, reported } = failing(error);
    await using _ = server;

    await assert.rejects(only(server.channel.invoke(findCommit, [{}])), { code, message });
    assert.deepEqual(reported, []);
  });
}

test('a call whose handler waits for ever can be failed, and its handler is aborted', async () => {
  const aborted = Promise.withResolvers<unknown>();
  const started = Promise.withResolvers<ServerCall>();
  await using server = connectTo({
    services: [
      serve(CommitService, {
        findCommit: (_request, { signal }) => {
          signal.addEventListener('abort', () => aborted.resolve(signal.reason));
          return new Promise(() => {});
        },
      }),
    ],
    interceptors: [
      (call) => {
        started.resolve(call);
        return undefined;
      },
      mapStatus,
    ],
  });
  const outcome = only(server.channel.invoke(findCommit, [{}]));
  outcome.catch(() => {});
  const call = await started.promise;
  await new Promise((resolve) => setImmediate(resolve));
  const error = panicError(MISTAKE);

  assert.equal(call.fail(error), true);

  await assert.rejects(outcome, { code: 'INTERNAL', message: `panic: ${MISTAKE.message}` });
  assert.equal(await aborted.promise, error);
});

test('a call that has ended cannot be failed', async () => {
  let ended: ServerCall | undefined;
  await using server = connectTo({
    services: [serve(CommitService, { findCommit: () => ({}) })],
    interceptors: [
      (call) => {
        ended = call;
        return undefined;
      },
    ],
  });

  await only(server.channel.invoke(findCommit, [{}]));

  assert.equal(ended?.fail(panicError(MISTAKE)), false);
});
