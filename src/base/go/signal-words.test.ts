import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signalWords } from './signal-words.ts';

test('signals that end programs have words, others their name', () => {
  assert.equal(signalWords('SIGKILL'), 'killed');
  assert.equal(signalWords('SIGUSR2'), 'SIGUSR2');
});
