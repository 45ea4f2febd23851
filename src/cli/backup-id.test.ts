import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { backupId } from './commands/option-values.ts';

// Such backups were made with exit code 0, but neither listed nor verified.
test('names of backups that no list would have are refused', () => {
  const controls = ['two\nlines', 'a\tb', '\u001b[31m', 'a\u007f', 'a\u0085b', 'a\0'];
  for (const name of ['', '+one', '.', '..', '.one', 'a/b', ...controls])
    assert.throws(() => backupId(name), InvalidArgumentError, JSON.stringify(name));
  for (const name of ['one', '2026-11-26', '20261126T120000Z', 'a+b.c']) assert.equal(backupId(name), name);
});
