import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callMetadata } from './call-metadata.ts';

test("Gitaly receives the caller's identity under gitlab-shell's keys", () => {
  assert.deepEqual(
    callMetadata({
      identity: { glId: 'user-1', username: 'ann', keyId: 7 },
      remoteAddress: '192.0.2.1',
      correlationId: 'c',
    }),
    {
      user_id: 'user-1',
      username: 'ann',
      'x-gitaly-user-bin': Buffer.from('{"id":"user-1","name":"ann"}'),
      key_id: '7',
      key_type: 'key',
      remote_ip: '192.0.2.1',
      'x-gitlab-correlation-id': 'c',
    },
  );
});

test('unknown values are omitted, and characters that metadata cannot hold become question marks', () => {
  assert.deepEqual(
    callMetadata({ identity: { glId: 'user-1', username: 'Jörg' }, remoteAddress: undefined }),
    {
      user_id: 'user-1',
      username: 'J?rg',
      'x-gitaly-user-bin': Buffer.from('{"id":"user-1","name":"Jörg"}'),
    },
  );
});
