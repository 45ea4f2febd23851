import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCallbackAnswer } from './callback-answer.ts';

const allowed = (fields: object): string => JSON.stringify({ allowed: true, gl_id: 'user-1', ...fields });

test('an accepted user has an id, and may have a name and a repository', () => {
  for (const [fields, expected] of [
    [{}, { glId: 'user-1', username: '' }],
    [{ gl_username: 'jane' }, { glId: 'user-1', username: 'jane' }],
    [{ gl_repository: '' }, { glId: 'user-1', username: '' }],
    [{ gl_repository: 'project-1' }, { glId: 'user-1', username: '', glRepository: 'project-1' }],
    [{ gl_username: 'x'.repeat(255) }, { glId: 'user-1', username: 'x'.repeat(255) }],
  ] as const)
    assert.deepEqual(parseCallbackAnswer(200, allowed(fields)), { isAllowed: true, admission: expected });
});

test('fields that are no names are an error', () => {
  for (const [fields, message] of [
    [{ gl_id: undefined }, /"gl_id" .* is not a name/],
    [{ gl_id: 1 }, /"gl_id" .* is not a name/],
    [{ gl_id: 'a b' }, /"gl_id" .* is not a name/],
    [{ gl_username: 1 }, /"gl_username" .* is not a name/],
    [{ gl_username: 'a\nb' }, /"gl_username" .* is not a name/],
    [{ gl_username: 'x'.repeat(256) }, /"gl_username" .* is not a name/],
    [{ gl_repository: 1 }, /"gl_repository" .* is not a name/],
    [{ gl_repository: 'a\u0000' }, /"gl_repository" .* is not a name/],
    [{ allowed: undefined }, /"allowed" .* is neither true nor false/],
    [{ allowed: 'yes' }, /"allowed" .* is neither true nor false/],
  ] as const)
    assert.throws(() => parseCallbackAnswer(200, allowed(fields)), { message });
});

test('a refusal has a status by the response or its body, and a message for a terminal', () => {
  const refused = (status: number | undefined, message: string | undefined) => ({
    isAllowed: false,
    status,
    message,
  });
  for (const status of [401, 403, 404]) {
    assert.deepEqual(parseCallbackAnswer(status, ''), refused(status, undefined));
    const text = JSON.stringify({ allowed: false, status });
    assert.deepEqual(parseCallbackAnswer(200, text), refused(status, undefined));
  }
  const body = (fields: object): string => JSON.stringify({ allowed: false, ...fields });
  assert.deepEqual(parseCallbackAnswer(200, body({ status: 500 })), refused(undefined, undefined));
  assert.deepEqual(parseCallbackAnswer(200, body({ message: ' \n' })), refused(undefined, undefined));
  assert.deepEqual(
    parseCallbackAnswer(403, body({ message: 'no\u001b[31m\nway' })),
    refused(403, 'no [31m\nway'),
  );
  assert.deepEqual(
    parseCallbackAnswer(403, body({ message: 'x'.repeat(1001) })),
    refused(403, 'x'.repeat(1000)),
  );
});

test('another status, and a body that is no object, are errors', () => {
  for (const status of [201, 302, 400, 500])
    assert.throws(() => parseCallbackAnswer(status, allowed({})), {
      message: /has status \d+, expected 200/,
    });
  for (const text of ['', '[]', 'true', '{'])
    assert.throws(() => parseCallbackAnswer(200, text), { message: 'the response is not a JSON object' });
});
