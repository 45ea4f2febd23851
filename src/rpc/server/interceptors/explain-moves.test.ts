import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { callable } from '#rpc/common/grpc/grpc-method';
import { connectTo, only } from '#testkit/clients/in-process-rpc';
import { CommitService } from '#wire/gen/commit_pb';
import { serve } from '../handler.ts';
import type { ServerInterceptor } from '../server-call.ts';
import { type ChangeOfRepository, explainMoves } from './explain-moves.ts';

const findCommit = callable(CommitService.method.findCommit);
const REQUEST = { repository: { storageName: 'default', relativePath: 'a.git' } };

function failing(error: Error, changeOf: ChangeOfRepository) {
  const ends: unknown[] = [];
  const keep: ServerInterceptor = () => ({ end: (_call, failure) => void ends.push(failure) });
  const server = connectTo({
    services: [serve(CommitService, { findCommit: () => Promise.reject(error) })],
    interceptors: [keep, explainMoves(changeOf)],
  });
  return { server, ends };
}

for (const [change, code, message, own] of [
  ['removed', 'NOT_FOUND', 'repository not found', new Error('exit status 128')],
  // Born failing: CalculateChecksum found a directory without its files.
  ['removed', 'NOT_FOUND', 'repository not found', new GitalyError('DATA_LOSS', 'exit status 128')],
  [
    'replaced',
    'ABORTED',
    'repository was moved, removed or created during the call',
    new Error('exit status 128'),
  ],
] as const) {
  test(`${own} of a call whose repository was ${change} becomes ${code}, and is logged`, async () => {
    const asked: unknown[] = [];
    const { server, ends } = failing(own, ({ relativePath }) => {
      asked.push(relativePath);
      return change;
    });
    await using _ = server;

    await assert.rejects(only(server.channel.invoke(findCommit, [REQUEST])), { code, message });
    assert.deepEqual(asked, ['a.git']);
    assert.ok(ends[0] instanceof GitalyError);
    assert.deepEqual(ends[0].metadata, { original_error: 'exit status 128' });
  });
}

test('an error with a reason, and one of a repository that stayed, are kept', async () => {
  const { server: refusing } = failing(new GitalyError('INVALID_ARGUMENT', 'empty'), () => 'removed');
  const { server: staying } = failing(new GitalyError('INTERNAL', 'broken'), () => undefined);
  await using _refusing = refusing;
  await using _staying = staying;

  await assert.rejects(only(refusing.channel.invoke(findCommit, [REQUEST])), { message: 'empty' });
  await assert.rejects(only(staying.channel.invoke(findCommit, [REQUEST])), { message: 'broken' });
});
