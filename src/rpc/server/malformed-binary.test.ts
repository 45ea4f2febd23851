import assert from 'node:assert/strict';
import { test } from 'node:test';
import { malformedBinary } from './refusal.ts';

// Positions of Go's `encoding/base64`, as grpc-go uses it.
for (const [value, at] of [
  ['', undefined],
  ['YQ', undefined],
  ['YQ==', undefined],
  ['YWI', undefined],
  ['YWI=', undefined],
  ['YR', undefined],
  ['!!!', 0],
  ['abcde', 4],
  ['_-8=', 0],
  [' YQ ', 0],
  ['AA=A', 2],
  ['YQ=', 2],
  ['YQ==YQ==', 4],
  ['YWI=YWI=', 4],
  ['AAAAA=AA', 5],
  ['========', 0],
  ['YQ,YQ==', undefined],
  ['YQ,!', 3],
] as const) {
  test(`${JSON.stringify(value)} is ${at === undefined ? 'accepted' : `malformed at ${at}`}`, () => {
    const headers = ['x-text', '!', 'bin', '!', 'x-test-bin', value];
    assert.deepEqual(
      malformedBinary(headers),
      at === undefined ? undefined : { name: 'x-test-bin', value, at },
    );
  });
}
