import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, GitalyError, insteadOf, prefixed } from './gitaly-error.ts';

test('a value takes the place of an error with the code, other errors are thrown', async () => {
  const fail = (code: 'NOT_FOUND' | 'INTERNAL'): Promise<string> =>
    Promise.reject(new GitalyError(code, 'no'));

  assert.equal(await fail('NOT_FOUND').catch(insteadOf('NOT_FOUND', undefined)), undefined);
  await assert.rejects(fail('INTERNAL').catch(insteadOf('NOT_FOUND', undefined)), { code: 'INTERNAL' });
});

test('a prefix makes a plain error of any, which has the first as its cause', () => {
  const cause = new GitalyError('NOT_FOUND', 'no row');

  assert.throws(
    () => prefixed('read')(cause),
    (error) => {
      assert.ok(error instanceof Error);
      assert.deepEqual([error.message, codeOf(error), error.cause], ['read: no row', undefined, cause]);
      return true;
    },
  );
});
