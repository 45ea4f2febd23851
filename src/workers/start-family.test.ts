import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { allowedProcesses } from './start-family.ts';

test('a system that cannot pass connections has one process, and the log says why', () => {
  const lines: string[] = [];
  const logger = createLogger({
    format: 'text',
    level: 'info',
    stream: { write: (line) => lines.push(line) },
  });

  assert.equal(allowedProcesses(3, { logger, platform: 'linux' }), 3);
  assert.equal(allowedProcesses(1, { logger, platform: 'win32' }), 1);
  assert.deepEqual(lines, []);
  assert.equal(allowedProcesses(3, { logger, platform: 'win32' }), 1);
  assert.match(lines.join(), /cannot pass open connections/);
});
