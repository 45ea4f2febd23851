import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { GoRegexp } from './go-regexp.ts';

/** Expressions that Go refuses, with its text. @see Go: regexp/syntax/parse_test.go, invalidRegexps */
const REFUSED: readonly (readonly [string, string])[] = [
  ['(', 'missing closing ): `(`'],
  [')', 'unexpected ): `)`'],
  ['(a', 'missing closing ): `(a`'],
  ['a)', 'unexpected ): `a)`'],
  ['(a))', 'unexpected ): `(a))`'],
  ['(a|b|', 'missing closing ): `(a|b|`'],
  ['[a-z', 'missing closing ]: `[a-z`'],
  ['x[a', 'missing closing ]: `[a`'],
  ['[z-a]', 'invalid character class range: `z-a`'],
  ['[[:nope:]]', 'invalid character class range: `[:nope:]`'],
  ['\\p{Nope}', 'invalid character class range: `\\p{Nope}`'],
  ['+*', 'missing argument to repetition operator: `+`'],
  ['*', 'missing argument to repetition operator: `*`'],
  ['a|*', 'missing argument to repetition operator: `*`'],
  ['(*a)', 'missing argument to repetition operator: `*`'],
  ['a**', 'invalid nested repetition operator: `**`'],
  ['a*+', 'invalid nested repetition operator: `*+`'],
  ['a??+', 'invalid nested repetition operator: `??+`'],
  ['a{2}{3}', 'invalid nested repetition operator: `{2}{3}`'],
  ['a{1001}', 'invalid repeat count: `{1001}`'],
  ['a{3,2}', 'invalid repeat count: `{3,2}`'],
  ['(a{30}){40}', 'invalid repeat count: `{40}`'],
  ['(?=x)', 'invalid or unsupported Perl syntax: `(?=`'],
  ['(?!x)', 'invalid or unsupported Perl syntax: `(?!`'],
  ['(?i-)a', 'invalid or unsupported Perl syntax: `(?i-)`'],
  ['(?P<n', 'invalid named capture: `(?P<n`'],
  ['(?P<x y>a)', 'invalid named capture: `(?P<x y>`'],
  ['(?<=x)', 'invalid named capture: `(?<=x)`'],
  ['(x{0,1000}){0,1000}', 'invalid repeat count: `{0,1000}`'],
  ['a(?P<', 'invalid or unsupported Perl syntax: `(?P`'],
  ['a(?<', 'invalid or unsupported Perl syntax: `(?<`'],
  ['(?P<n>a)(?P<n>b', 'missing closing ): `(?P<n>a)(?P<n>b`'],
  ['\\', 'trailing backslash at end of expression: ``'],
  ['\\1', 'invalid escape sequence: `\\1`'],
  ['\\Z', 'invalid escape sequence: `\\Z`'],
  ['\\x{110000}', 'invalid escape sequence: `\\x{110000`'],
];

describe('refused expressions', () => {
  for (const [expression, problem] of REFUSED) {
    test(expression, () => {
      assert.throws(() => new GoRegexp(expression), { message: `error parsing regexp: ${problem}` });
    });
  }
});

/** Expressions with texts that match and texts that do not. */
const MATCHES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['', ['', 'a'], []],
  ['\\.md$', ['a.md'], ['a.md ', 'amd', 'a.mdx']],
  ['^dir/', ['dir/a'], ['xdir/a', 'dir']],
  ['(?i)readme', ['README.md', 'x/ReadMe'], ['read me']],
  ['(?i)k', ['\u212a', 'K'], []],
  ['a(?i)b', ['ab', 'aB'], ['AB']],
  ['(?i:a)b', ['Ab'], ['aB']],
  ['a.c', ['abc', 'aöc', 'a😀c'], ['a\nc', 'ac']],
  ['(?s)a.c', ['a\nc'], []],
  ['^a$', ['a'], ['a\n', 'b\na']],
  ['(?m)^a$', ['b\na', 'a\n'], ['ab']],
  ['\\Aa\\z', ['a'], ['a\n']],
  ['\\bfoo\\b', ['a foo b', 'foo'], ['foob', '_foo']],
  ['\\Boo', ['foo'], ['oo']],
  ['[^a-c]', ['d', '\n', 'ö'], ['abc']],
  ['[]a]', [']', 'a'], ['b']],
  ['[a-]', ['-', 'a'], ['b']],
  ['[\\d_]x', ['1x', '_x'], ['ax']],
  ['[[:^alpha:]]', ['1'], ['a']],
  ['\\pL\\p{Greek}\\P{Lu}', ['aωb'], ['1ωb', 'aab', 'aωB']],
  ['\\Qa.b*\\E+', ['a.b*', 'a.b**'], ['axb*']],
  ['a{2,3}b', ['aab', 'aaab', 'aaaab'], ['ab']],
  ['^a{2,}b', ['aab', 'aaaaab'], ['ab']],
  ['a{,2}', ['a{,2}'], ['aa']],
  ['(a|bc)*d', ['d', 'abcad'], ['bce']],
  ['x*?y|z', ['y', 'z', 'xy'], ['x']],
  ['\\x41\\x{1F600}\\101', ['A😀A'], ['A']],
  ['(?P<n>a)(?<m>b)', ['ab'], ['a']],
  ['(?P<n>a)(?P<n>b)[(?P<n>]c', ['abnc', 'ab(c'], ['abac', 'ab']],
  ['(()*)*a', ['a'], ['b']],
];

describe('matches', () => {
  for (const [expression, yes, no] of MATCHES) {
    test(expression, () => {
      const regexp = new GoRegexp(expression);
      for (const text of yes) assert.equal(regexp.test(text), true, JSON.stringify(text));
      for (const text of no) assert.equal(regexp.test(text), false, JSON.stringify(text));
    });
  }
});

test('expressions of the common syntax match as in JavaScript', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '^', '$', '\\b', '');
  const expression = fc.letrec<{ node: string }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4 },
      atom,
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => a + b),
      fc.tuple(tie('node'), tie('node')).map(([a, b]) => `(?:${a}|${b})`),
      fc.tuple(tie('node'), fc.constantFrom('*', '+', '?', '{1,2}')).map(([a, sign]) => `(?:${a})${sign}`),
    ),
  })).node;
  fc.assert(
    fc.property(
      expression,
      fc.array(fc.constantFrom('a', 'b', 'c', '-'), { maxLength: 6 }),
      (source, text) => {
        const all = text.join('');
        assert.equal(new GoRegexp(source).test(all), new RegExp(source, 'u').test(all));
      },
    ),
    { numRuns: 2000 },
  );
});

test('an expression that takes exponential time in JavaScript is fast', () => {
  assert.equal(new GoRegexp('^(a|a|aa)*$').test(`${'a'.repeat(4000)}b`), false);
});

describe('an expression that would take long to compile is refused at once', () => {
  const hostile = [
    '((((((x{2}){2}){2}){2}){2}){15}){2}',
    `(${'x?'.repeat(400)}){1000}`,
    `${'('.repeat(300)}${')*'.repeat(300)}`,
    `(?:${'(|)'.repeat(300)}){1000}`,
    `${'\\pL{100}'.repeat(120)}`,
    `[]${'x'.repeat(800)}]{1000}{2}`,
    `\\Q{1000}\\E{1000}${'(x{1000})'.repeat(100)}`,
  ];
  for (const expression of hostile)
    test(expression.slice(0, 40), () => {
      const before = process.threadCpuUsage();
      try {
        new GoRegexp(expression).test('x'.repeat(100));
      } catch (error) {
        assert.match(String(error), /error parsing regexp/);
      }
      const { user, system } = process.threadCpuUsage(before);
      assert.ok(user + system < 500_000, `${user + system} µs`);
    });
});

// Others waited 23 seconds for a filter of repeated optional parts on a long path.
test('optional parts take a time in proportion to the text', async () => {
  for (const source of ['(a?){60}a{60}$', '(.*a){20}$', '(a|aa)+$', '(?i)\\pL{50}-'])
    await assertLinearTime((size) => {
      const regexp = new GoRegexp(source);
      for (let at = 0; at < size; at += 1000) regexp.test(`${'a'.repeat(Math.min(1000, size - at))}b`);
    });
});

test('a large expression is not applied to a long text', () => {
  const regexp = new GoRegexp('(\\pL?){500}\\pL{500}');

  assert.equal(regexp.test('a'.repeat(700)), true);
  assert.throws(() => regexp.test('a'.repeat(4096)), { code: 'RESOURCE_EXHAUSTED' });
});

test('an expression above the limit of its length is refused', () => {
  assert.throws(() => new GoRegexp('a'.repeat(1001)), /expression too large/);
});
