import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { systemErrorCode, systemErrorText } from './system-error.ts';

function failure(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return assert.fail('did not throw');
}

test('a failed system call is told in the words of the C library', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'system-error-'));
  try {
    writeFileSync(path.join(directory, 'file'), '');

    assert.equal(systemErrorText(failure(() => statSync(path.join(directory, 'none')))), 'no such file or directory');
    assert.equal(systemErrorText(failure(() => statSync(path.join(directory, 'file/x')))), 'not a directory');
    assert.equal(systemErrorText(failure(() => statSync(path.join(directory, 'x'.repeat(300))))), 'file name too long');
    assert.equal(systemErrorText(failure(() => readFileSync(directory))), 'is a directory');
    assert.equal(systemErrorText(failure(() => mkdirSync(directory))), 'file exists');
    assert.equal(systemErrorText(failure(() => rmdirSync(directory))), 'directory not empty');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an error that is no system call keeps its message and has no code', () => {
  assert.equal(systemErrorText(new Error('other')), 'other');
  assert.equal(systemErrorText('text'), 'text');
  assert.equal(systemErrorCode(new Error('other')), undefined);
  assert.equal(systemErrorCode(failure(() => statSync('/no/such/file'))), 'ENOENT');
});
