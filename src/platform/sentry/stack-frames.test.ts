import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stackFrames } from './sentry-client.ts';

test('the innermost call is last, and code of others is marked', () => {
  const stack = [
    'TypeError: x is not a function (at 1:2)',
    '    at Server.handle (file:///srv/gitaly/dist/rpc/server.js:10:5)',
    '    at async run (/srv/node_modules/pkg/index.js:1:2)',
    '    at node:internal/process/task_queues:104:5',
    '    at new Promise (<anonymous>)',
  ].join('\n');

  assert.deepEqual(
    stackFrames(stack).map(({ function: name, filename, lineno, in_app }) => [
      name,
      filename,
      lineno,
      in_app,
    ]),
    [
      ['<anonymous>', 'node:internal/process/task_queues', 104, false],
      ['run', '/srv/node_modules/pkg/index.js', 1, false],
      ['Server.handle', 'file:///srv/gitaly/dist/rpc/server.js', 10, true],
    ],
  );
});

test('the stack of a real error begins here', () => {
  const frame = stackFrames(new Error('x').stack ?? '').at(-1);

  assert.match(frame?.filename ?? '', /stack-frames\.test\.ts$/);
});
