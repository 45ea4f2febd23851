import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCompiler } from './run-compiler.ts';

// Where tsc could not be started, the build failed without a word.
test('a compiler that cannot be started is named with what to do', () => {
  assert.match(
    runCompiler('/nowhere/tsc', []) ?? '',
    /^build: the compiler could not be started: .*\/nowhere\/tsc ENOENT\. Install the packages again: npm ci/,
  );
});

test('a killed compiler is reported with the signal', () => {
  assert.match(runCompiler('/bin/sh', ['-c', 'kill -9 $$']) ?? '', /killed by SIGKILL/);
});

test('a compiler with errors has printed them itself', () => {
  assert.equal(runCompiler('/bin/sh', ['-c', 'exit 2']), '');
  assert.equal(runCompiler('/bin/sh', ['-c', 'exit 0']), undefined);
});
