import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { fitsPattern } from './pattern.ts';

const CASES: readonly (readonly [string, string, boolean])[] = [
  ['team/*', 'team/app', true],
  ['team/*', 'team/app/sub', false],
  ['team/**', 'team/app/sub', true],
  ['team/**', 'team', false],
  ['**', '', true],
  ['*', '', true],
  ['', '', true],
  ['', 'a', false],
  ['refs/heads/*-fix', 'refs/heads/a-fix', true],
  ['refs/heads/*-fix', 'refs/heads/a/b-fix', false],
  ['a***b', 'a/x/b', true],
  ['a.c', 'abc', false],
  ['refs/heads/[ab]', 'refs/heads/a', false],
];

test('* stands for a part of a name, ** for any path, everything else for itself', () => {
  for (const [pattern, text, fits] of CASES)
    assert.equal(fitsPattern(pattern, text), fits, `${pattern} ${text}`);
});

/** The definition, by trying everything: slow, and obviously right. */
function fitsByTrial(pattern: string, text: string): boolean {
  if (pattern === '') return text === '';
  if (pattern.startsWith('**'))
    return fitsByTrial(pattern.slice(2), text) || (text !== '' && fitsByTrial(pattern, text.slice(1)));
  if (pattern.startsWith('*'))
    return (
      fitsByTrial(pattern.slice(1), text) ||
      (text !== '' && !text.startsWith('/') && fitsByTrial(pattern, text.slice(1)))
    );
  return pattern[0] === text[0] && fitsByTrial(pattern.slice(1), text.slice(1));
}

test('random patterns fit what their definition says', () => {
  const characters = fc.constantFrom('a', 'b', '/', '*', '*');
  const pattern = fc.string({ unit: characters, maxLength: 7 }).filter((text) => !text.includes('***'));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 8 });
  fc.assert(
    fc.property(pattern, text, (one, other) => {
      assert.equal(fitsPattern(one, other), fitsByTrial(one, other));
    }),
  );
});

test('a hostile pattern takes a time that is linear in the text', () => {
  const pattern = '*a'.repeat(128);
  const startedAt = performance.now();
  assert.equal(fitsPattern(pattern, `${'a'.repeat(4096)}b`), false);
  assert.ok(performance.now() - startedAt < 2000);
});
