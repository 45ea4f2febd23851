import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { settle } from '#testkit/clients/raw-yamux-peer';
import { RepositoryService } from '#wire/gen/repository_pb';
import { serve } from '../handler.ts';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';

const writeRef = callable(RepositoryService.method.writeRef);
const ERROR = new GitalyError('CANCELLED', 'by an operator');

/** A server whose handler runs until the gate opens, and a call of it that is about to be failed. */
async function changing() {
  const events: string[] = [];
  const gate = Promise.withResolvers<void>();
  let begun: ServerCall | undefined;
  const begins: ServerInterceptor = (call) => {
    begun = call;
    return { end: () => void events.push('end') };
  };
  const server = connectTo({
    services: [
      serve(RepositoryService, {
        writeRef: async () => {
          await gate.promise;
          events.push('changed');
          return {};
        },
      }),
    ],
    interceptors: [begins],
  });
  const outcome = assert.rejects(only(server.channel.invoke(writeRef, [{}])), { message: ERROR.message });
  outcome.catch(() => {});
  while (begun === undefined) await settle();
  await settle();
  const call: ServerCall = begun;
  return {
    call,
    events,
    gate,
    outcome,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

// An operator who cancelled a change ended its marks at once: others cached what it changed then,
// and maintenance that excludes changes began meanwhile.
test('the stages of a change that is failed end after its handler', async () => {
  await using change = await changing();

  assert.equal(change.call.fail(ERROR), true);
  await settle();
  assert.equal(change.call.context.abortReason, ERROR);
  assert.deepEqual(change.events, []);
  change.gate.resolve();
  await change.outcome;

  assert.deepEqual(change.events, ['changed', 'end']);
});

test('a change that does not stop ends after some seconds', async (context) => {
  await using change = await changing();
  context.mock.timers.enable({ apis: ['setTimeout'] });

  change.call.fail(ERROR);
  context.mock.timers.tick(4999);
  await settle();
  assert.deepEqual(change.events, []);
  context.mock.timers.tick(1);
  await change.outcome;

  assert.deepEqual(change.events, ['end']);
  change.gate.resolve();
  await settle();
  assert.deepEqual(change.events, ['end', 'changed'], 'the end comes once');
});
