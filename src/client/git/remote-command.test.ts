import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { recordedConnection } from '#testkit/clients/recording-caller';
import { SSHReceivePackResponseSchema, SSHService } from '#wire/gen/ssh_pb';
import { CallError } from '../call/call-error.ts';
import type { ResponseStream } from '../call/call-types.ts';
import { type CommandOutput, followCommand } from './remote-command.ts';
import { StdinRequests } from './stdin-requests.ts';

type Piece = MessageInitShape<typeof SSHReceivePackResponseSchema>;

const CALL = { rpc: '/gitaly.SSHService/SSHReceivePack', address: 'unix:x', operation: 'mutator' } as const;
const failure = new CallError(new GitalyError('INTERNAL', 'git died', { metadata: { fact: 1 } }), CALL);

/** Follows a command that prints these pieces, and ends with an error if there is one. */
async function follow(
  pieces: readonly Piece[],
  { error, stdinError }: { error?: Error; stdinError?: Error } = {},
) {
  const outputs = pieces.map((piece) => create(SSHReceivePackResponseSchema, piece));
  const { connection } = recordedConnection({ ssh: SSHService }, () => outputs);
  const call = connection.ssh.sshReceivePack([{}]);
  const failing = {
    ...{ headers: call.headers, trailers: call.trailers, cancel: () => {} },
    async *[Symbol.asyncIterator]() {
      yield* call;
      if (error !== undefined) throw error;
    },
    [Symbol.asyncDispose]: async () => {},
  } satisfies ResponseStream<CommandOutput>;
  const requests = new StdinRequests('first', new PassThrough(), String);
  requests.error = stdinError;
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const result = await followCommand(failing, requests, { stdout, stderr }).catch((e) => e);
  return { result, stdout: await text(stdout.end()), stderr: await text(stderr.end()) };
}

const bytes = (text: string) => Buffer.from(text);

test('the outputs of a command are written, and its exit code is 0 if the server sends none', async () => {
  const { result, stderr, stdout } = await follow([
    { stdout: bytes('one ') },
    { stderr: bytes('problem') },
    { stdout: bytes('two') },
  ]);

  assert.deepEqual([result, stdout, stderr], [{ exitCode: 0 }, 'one two', 'problem']);
});

test('the exit code is the one that the server sent', async () => {
  const { result } = await follow([{ exitStatus: { value: 128 } }]);

  assert.deepEqual(result, { exitCode: 128 });
});

test('a failed call has the exit code that came before, and its other facts', async () => {
  const { result } = await follow([{ exitStatus: { value: 9 } }], { error: failure });

  assert.ok(result instanceof CallError);
  assert.deepEqual([result.code, result.message, result.rpc], ['INTERNAL', 'git died', CALL.rpc]);
  assert.deepEqual(result.metadata, { fact: 1, exitCode: 9 });
  const other = new Error('of another kind');
  assert.equal((await follow([], { error: other })).result, other);
});

test('an input that failed is the error, also when the call failed or ended', async () => {
  const stdinError = new Error('terminal gone');
  for (const options of [{ stdinError }, { stdinError, error: failure }]) {
    const { result } = await follow([{ stdout: bytes('x') }], options);

    assert.deepEqual([result.code, result.message], ['UNKNOWN', 'stdin send error: terminal gone']);
    assert.equal(result.cause, stdinError);
  }
});
