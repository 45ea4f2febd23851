import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { abortError, abortText, describeExit, GitExitError } from './exit-error.ts';

for (const [exit, ended, text] of [
  [{ code: 1, signal: undefined }, undefined, 'exit status 1'],
  [{ code: undefined, signal: 'SIGKILL' }, undefined, 'signal: killed'],
  [{ code: undefined, signal: 'SIGTERM' }, 'context canceled', 'signal: terminated: context canceled'],
  // As Go describes a process of which nothing is known.
  [{ code: undefined, signal: undefined }, undefined, 'exit status -1'],
] as const) {
  test(`${JSON.stringify({ ...exit, ended })} is ${JSON.stringify(text)}`, () => {
    assert.equal(describeExit({ ...exit, ended, realMs: 1, usage: undefined }), text);
  });
}

test('the error of a failed command has its words, its code and its standard error', () => {
  const exit = { code: 128, signal: undefined, realMs: 1, ended: undefined, usage: undefined };

  const { argv, exitCode, signal, stderr } = new GitExitError(['git', Buffer.from('log')], exit, 'fatal\n');

  assert.deepEqual(
    { argv, exitCode, signal, stderr },
    {
      argv: ['git', 'log'],
      exitCode: 128,
      signal: undefined,
      stderr: 'fatal\n',
    },
  );
});

for (const [what, reason, code, text] of [
  ['an abort', undefined, 'CANCELLED', 'context canceled'],
  ['another error', new Error('closed'), 'CANCELLED', 'context canceled'],
  ['a time-out', new DOMException('', 'TimeoutError'), 'DEADLINE_EXCEEDED', 'context deadline exceeded'],
  [
    'the deadline of a call',
    new GitalyError('DEADLINE_EXCEEDED', 'late'),
    'DEADLINE_EXCEEDED',
    'context deadline exceeded',
  ],
] as const) {
  test(`after ${what} an operation ends with ${code}`, () => {
    const signal = AbortSignal.abort(reason);

    assert.equal(abortText(signal), text);
    const { code: given, message, cause } = abortError(signal);
    assert.deepEqual([given, message, cause], [code, text, signal.reason]);
  });
}
