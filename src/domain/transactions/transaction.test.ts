import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTransaction } from './transaction.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64');

test('a transaction is read from metadata; the way back is that of the connection', () => {
  const value = encode('{"id":7,"node":"gitaly-1","primary":true,"backchannel_id":99}');

  assert.deepEqual(parseTransaction(value, 3), { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 });
  assert.equal(parseTransaction(value, undefined)?.backchannelId, 0);
  assert.equal(parseTransaction(undefined, 3), undefined);
});

test('fields may be missing, but what is no transaction is refused', () => {
  assert.deepEqual(parseTransaction(encode('{}'), 1), { id: 0n, node: '', primary: false, backchannelId: 1 });
  for (const text of [
    '',
    'x',
    'null',
    '[1',
    '{"id":"7"}',
    '{"node":1}',
    '{"id":1.5}',
    '{"id":-1}',
    '{"id":18446744073709551616}',
  ]) {
    assert.throws(() => parseTransaction(encode(text), 1), { code: 'INTERNAL' }, text);
  }
});

test('an id of 64 bits is exact', () => {
  const value = encode('{"id":18446744073709551615}');

  const transaction = parseTransaction(value, 1);

  assert.equal(transaction?.id, 18_446_744_073_709_551_615n);
});

test('praefect of ours asks for an order, and for votes on one stream', () => {
  const value = encode('{"id":7,"node":"a","primary":true,"ordered":true,"vote_stream":true}');

  const transaction = parseTransaction(value, 3);

  assert.partialDeepStrictEqual(transaction, { isOrdered: true, hasVoteStream: true });
  assert.equal(transaction?.isEntered, undefined);
  assert.equal(parseTransaction(encode('{"id":7,"entered":true}'), 3)?.isEntered, true);
  assert.equal(parseTransaction(encode('{"id":7,"node":"a"}'), 3)?.hasVoteStream, undefined);
});
