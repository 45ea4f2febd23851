import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { copyHeaders, copyTrailers } from './response-metadata.ts';

test('headers of a node that belong to its connection do not reach the client', () => {
  const fromNode = Metadata.from({
    'content-type': 'application/grpc',
    date: 'Tue, 24 Nov 2026 12:00:00 GMT',
    'grpc-encoding': 'identity',
    'grpc-status': '0',
    'gitaly-cost': ['1', '2'],
  });
  const responseHeaders = Metadata.from();

  copyHeaders(fromNode, { responseHeaders });

  const expected = [
    ['gitaly-cost', '1'],
    ['gitaly-cost', '2'],
  ];
  assert.deepEqual([...responseHeaders.entries()], expected);
});

test('the status of a node is not among the trailers for the client', () => {
  const fromNode = Metadata.from({ 'grpc-status': '5', 'grpc-message': 'gone', 'gitaly-cost': '3' });
  const trailers = Metadata.from({ own: 'kept' });

  copyTrailers(fromNode, { trailers });

  const expected = [
    ['own', 'kept'],
    ['gitaly-cost', '3'],
  ];
  assert.deepEqual([...trailers.entries()], expected);
});
