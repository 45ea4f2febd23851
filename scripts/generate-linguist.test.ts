import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { toJavaScript } from './linguist-pattern.ts';

test("the linguist data in the repository equal the generator's output", () => {
  const script = join(import.meta.dirname, 'generate-linguist.ts');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });

  assert.equal(status, 0, stderr);
});

const matches = (pattern: string, text: string, multiline = true): boolean | undefined => {
  const source = toJavaScript(pattern, { multiline });
  return source === undefined ? undefined : new RegExp(source).test(text);
};

test('lines end at line feeds only', () => {
  assert.equal(matches('^b$', 'a\nb\nc'), true);
  assert.equal(matches('^b$', 'a\nb\r\nc'), false);
  assert.equal(matches('^b', 'a\rb'), false);
  assert.equal(matches('a.b', 'a\rb'), true);
  assert.equal(matches('^b$', 'a\nb\nc', false), false);
});

test('flags apply up to the end of their group, including alternatives', () => {
  assert.equal(matches('a|(?i)b|c', 'A'), false);
  assert.equal(matches('a|(?i)b|c', 'C'), true);
  assert.equal(matches('^(?i)x|y', 'Y'), true);
  assert.equal(matches('(?:(?i)x)y', 'Xy'), true);
  assert.equal(matches('(?:(?i)x)y', 'XY'), false);
  assert.equal(matches('(?i:x)y', 'Xy'), true);
  assert.equal(matches('(?-m)^b', 'a\nb'), false);
  assert.equal(matches('(?-m:^b)|^c', 'a\nc'), true);
});

test('white space is ASCII white space', () => {
  assert.equal(matches(String.raw`a\sb`, 'a\u00a0b'), false);
  assert.equal(matches(String.raw`a[\s,]b`, 'a\tb'), true);
  assert.equal(matches(String.raw`\A\s*\z`, ' \n '), true);
});

test('patterns that Go cannot compile are omitted', () => {
  for (const pattern of ['a(?=b)', 'a(?!b)', '(?<=a)b', '(?>a)', String.raw`(a)\1`, 'a*+'])
    assert.equal(matches(pattern, 'a'), undefined);
});
