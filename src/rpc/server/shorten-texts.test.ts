import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { PathNotFoundErrorSchema, ResolveRevisionErrorSchema } from '#wire/gen/errors_pb';
import { shortenText, shortenTexts } from './error-headers.ts';

test('a text is cut between characters, and only if it is too long', () => {
  for (const [text, maxBytes, expected] of [
    ['abc', 3, 'abc'],
    ['abcd', 3, 'abc'],
    ['aü', 3, 'aü'],
    ['aü', 2, 'a'],
    ['ü€😀', 8, 'ü€'],
    ['ü€😀', 9, 'ü€😀'],
    ['ü', 1, ''],
    ['ü', 0, ''],
  ] as const)
    assert.equal(shortenText(text, maxBytes), expected, `${text} in ${maxBytes}`);
});

test('texts and bytes are cut, other details are returned as they are, and none is changed', () => {
  const path = create(PathNotFoundErrorSchema, { path: Buffer.from('0123456789') });
  const revision = create(ResolveRevisionErrorSchema, { revision: Buffer.from('01234') });
  const unknown = { $typeName: 'no.Such', text: '0123456789' };

  const [shortPath, sameRevision, same] = shortenTexts([path, revision, unknown], 5);

  assert.deepEqual(shortPath, create(PathNotFoundErrorSchema, { path: Buffer.from('01234') }));
  assert.deepEqual(sameRevision, revision);
  assert.equal(same, unknown);
  assert.equal(path.path.length, 10);
});
