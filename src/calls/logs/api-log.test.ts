import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { logApiCalls } from './api-log.ts';

const CALL = {
  endpoint: 'allowed',
  method: 'POST',
  url: 'http://gitlab/api/v4/internal/allowed',
  correlationId: 'id',
  durationMs: 1.7,
} as const;

for (const [what, error, expected] of [
  ['the cause of an error', new Error('unreachable', { cause: new Error('ECONNREFUSED') }), 'ECONNREFUSED'],
  ['the text of an error without a cause', new Error('unreachable'), 'unreachable'],
  ['what is no error', 'aborted', 'aborted'],
] as const)
  test(`a call without a response is logged with ${what}`, () => {
    const { lines, logger } = lineLogger();

    logApiCalls(logger)({ ...CALL, answer: undefined, error });

    assert.equal(lines.length, 1);
    assert.partialDeepStrictEqual(lines[0], {
      level: 'error',
      msg: 'Internal API unreachable',
      error: expected,
      duration_ms: 1,
    });
  });
