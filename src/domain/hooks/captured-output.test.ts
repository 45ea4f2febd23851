import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CapturedOutput } from './captured-output.ts';

const LIMIT = 64 * 1024;

test('the head of each stream is kept', async () => {
  const output = new CapturedOutput();
  const piece = Buffer.alloc(LIMIT - 1, 'x');

  await output.stderr(piece);
  piece.fill('y'); // the writer reuses its memory
  await output.stdout(Buffer.from('other'));
  await output.stderr(Buffer.from('ab'));
  await output.stderr(Buffer.from('c'));

  assert.equal(output.stderrBytes.toString(), `${'x'.repeat(LIMIT - 1)}a`);
  assert.equal(output.stdoutBytes.toString(), 'other');
});
