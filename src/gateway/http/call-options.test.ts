import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { callOptions } from './call-options.ts';
import type { GitExchange } from './git-exchange.ts';

test('a call has its user, its client, and a correlation id that is safe to log', () => {
  const { signal } = new AbortController();
  for (const [requestId, expected] of [
    ['01HX.a-b_c', '01HX.a-b_c'],
    ['x'.repeat(128), 'x'.repeat(128)],
    ['x'.repeat(129), undefined],
    ['a b', undefined],
    ['', undefined],
    [undefined, undefined],
  ] as const) {
    const request = { headers: { 'x-request-id': requestId } } as unknown as IncomingMessage;
    const identity = { glId: 'user-1', username: 'ann' };
    // The other fields of an exchange are not read.
    const exchange = { identity, remoteAddress: '192.0.2.1', request, signal } as unknown as GitExchange;

    const options = callOptions(exchange);

    const metadata = Metadata.from(options.metadata);
    assert.equal(metadata.get('x-gitlab-correlation-id'), expected, String(requestId));
    assert.deepEqual([metadata.get('user_id'), metadata.get('remote_ip')], ['user-1', '192.0.2.1']);
    assert.equal(options.signal, signal);
  }
});
