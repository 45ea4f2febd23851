import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { answeringInvoke } from '#testkit/clients/recording-caller';
import { CommitService } from '#wire/gen/commit_pb';
import { RefService } from '#wire/gen/ref_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { gitalyServices } from '#wire/methods';
import { callName, createClient } from './typed-client.ts';

test('every method of every service has a function with its name, except for a leading acronym', () => {
  for (const service of gitalyServices) {
    const client: object = createClient(service, answeringInvoke().invoke);
    for (const method of service.methods) {
      assert.equal(callName(method), method.localName.replace(/^sSH/, 'ssh'));
      assert.equal(
        typeof Reflect.get(client, callName(method)),
        'function',
        `${service.typeName}/${method.name}`,
      );
    }
  }
});

test('a unary call sends its request and resolves with the one response', async () => {
  const { invoke, invocations } = answeringInvoke('response');
  const client = createClient(CommitService, invoke);

  const response: unknown = await client.findCommit({ revision: Buffer.from('main') }, { timeoutMs: 5 });

  assert.equal(response, 'response');
  assert.equal(invocations[0]?.method.path, '/gitaly.CommitService/FindCommit');
  assert.deepEqual(invocations[0]?.requests, [{ revision: Buffer.from('main') }]);
  assert.deepEqual(invocations[0]?.options, { timeoutMs: 5 });
});

test('a unary call without a response, or with two, is an error', async () => {
  const none = createClient(CommitService, answeringInvoke().invoke);
  const two = createClient(CommitService, answeringInvoke('one', 'two').invoke);

  await assert.rejects(
    none.findCommit({}),
    (error) => error instanceof GitalyError && error.code === 'INTERNAL',
  );
  await assert.rejects(
    two.findCommit({}),
    (error) => error instanceof GitalyError && error.code === 'INTERNAL',
  );
});

test('an exception of an interceptor rejects a unary call', async () => {
  const client = createClient(CommitService, () => {
    throw new Error('refused here');
  });
  const call = client.findCommit({});

  await assert.rejects(call, { message: 'refused here' });
});

test('a server stream yields its responses in order', async () => {
  const client = createClient(RefService, answeringInvoke('one', 'two').invoke);
  const responses: unknown[] = [];

  for await (const response of client.listRefs({})) responses.push(response);

  assert.deepEqual(responses, ['one', 'two']);
});

test('a bidirectional call passes its requests on unchanged', async () => {
  const { invoke, invocations } = answeringInvoke();
  const sent = [{ stdin: Buffer.from('x') }, { stdin: Buffer.from('y') }];
  const requests = (async function* () {
    yield* sent;
  })();

  createClient(SSHService, invoke).sshReceivePack(requests);

  const received = await Array.fromAsync(invocations[0]?.requests ?? []);
  assert.equal(received.length, sent.length);
  for (const [index, request] of received.entries()) assert.equal(request, sent[index]);
});
