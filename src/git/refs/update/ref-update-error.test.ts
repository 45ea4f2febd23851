import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitExitError } from '#git/command/process/exit-error';
import { RefUpdateError, refUpdateError } from './ref-update-error.ts';

const FAILED = new GitExitError(
  ['git', 'update-ref'],
  { code: 128, signal: undefined, usage: undefined, realMs: 1, ended: undefined },
  '',
);

// Messages of git 2.39 to 2.53. ref-transaction.test.ts tests the other reasons with git itself.
const CASES = [
  [
    "fatal: commit: Unable to create '/x/packed-refs.lock': File exists.\n\nAnother git process seems\n",
    'packed-refs locked',
  ],
  ['fatal: prepare: unable to create file /x/packed-refs.new: File exists\n', 'packed-refs locked'],
  ['fatal: commit: cannot lock references\n', 'reference is already locked'],
  [
    "fatal: cannot lock ref 'refs/heads/a': is at 12 but expected 34\n",
    'reference does not point to expected object',
  ],
  ["fatal: trying to write ref 'refs/heads/a' with nonexistent object 12\n", 'target object missing'],
] as const;

for (const [stderr, message] of CASES) {
  test(`${stderr.split('\n')[0]} means: ${message}`, () => {
    const error = refUpdateError(FAILED, Buffer.from(stderr), 'files');

    assert.ok(error instanceof RefUpdateError);
    assert.equal(error.message, message);
    assert.equal(error.cause, FAILED);
  });
}

test('names are bytes', () => {
  const stderr = Buffer.from(
    "fatal: commit: cannot lock ref 'refs/heads/\xff': reference already exists\n",
    'latin1',
  );
  const error = refUpdateError(FAILED, stderr, 'files');

  assert.ok(error instanceof RefUpdateError);
  assert.deepEqual(error.facts.reference, Buffer.from('refs/heads/\xff', 'latin1'));
});

// Clients know a symbolic reference and its target in one change as a plain failure (recorded).
const VIA_SYMREF =
  "fatal: prepare: multiple updates for 'refs/heads/a' (including one via symref 'HEAD') are not allowed\n";
for (const stderr of ['fatal: something new\n', VIA_SYMREF, 'fatal: invalid ref format: refs/heads/a\nb\n']) {
  test(`${stderr.trim()} stays what it is`, () => {
    assert.equal(refUpdateError(FAILED, Buffer.from(stderr), 'files'), FAILED);
  });
}

test('a reference in the way of another is named, in files only where git speaks of its lock', () => {
  const conflict = "'refs/heads/a/b' exists; cannot create 'refs/heads/a'\n";
  const plain = Buffer.from(`fatal: commit: ${conflict}`);
  const locked = Buffer.from(`fatal: commit: cannot lock ref 'refs/heads/a': ${conflict}`);

  assert.equal(refUpdateError(FAILED, plain, 'files'), FAILED);
  for (const error of [refUpdateError(FAILED, plain, 'reftable'), refUpdateError(FAILED, locked, 'files')]) {
    assert.ok(error instanceof RefUpdateError);
    assert.equal(error.message, 'file directory conflict');
    assert.deepEqual(error.facts, {
      existingReference: Buffer.from('refs/heads/a/b'),
      reference: Buffer.from('refs/heads/a'),
    });
  }
});
