import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSizes } from './check-sizes.ts';
import { outcomeOf, temporaryTree } from './temporary-tree.ts';

/** Runs the check on a tree with these files. */
function check(files: Readonly<Record<string, string>>) {
  using tree = temporaryTree(files);
  return outcomeOf(checkSizes(tree));
}

const statements = (count: number): string => 'f();\n'.repeat(count);

test('files of the largest length pass, and longer ones are refused; tests may be longer', () => {
  const { lines } = check({
    'src/a.ts': statements(450),
    'src/b.ts': statements(451),
    'src/a.test.ts': statements(500),
    'src/b.test.ts': statements(501),
    'src/gitaly/services/a.ts': statements(60),
    'src/gitaly/services/b.ts': statements(61),
    'src/wire/gen/c.ts': statements(1000),
  });

  assert.deepEqual(lines, [
    'src/b.test.ts: 501 lines; the limit is 500',
    'src/b.ts: 451 lines; the limit is 450',
    'src/gitaly/services/b.ts: 61 lines; the limit is 60',
  ]);
});

for (const { name, before, after, reported } of [
  { name: 'function', before: 'function long() {\n', after: '}\n', reported: 'src/x.ts:2: long' },
  { name: 'lambda', before: 'const long = () => {\n', after: '};\n', reported: 'src/x.ts:2: long' },
  {
    name: 'method',
    before: 'class A {\n static async long() {\n',
    after: ' }\n}\n',
    reported: 'src/x.ts:3: long',
  },
  {
    name: 'private method',
    before: 'class A {\n #long() {\n',
    after: ' }\n}\n',
    reported: 'src/x.ts:3: long',
  },
  {
    name: 'method of an object',
    before: 'const a = {\n long() {\n',
    after: ' },\n};\n',
    reported: 'src/x.ts:3: long',
  },
]) {
  test(`a ${name} of 60 lines passes, and one of 61 is refused`, () => {
    const file = (lines: number): string => `\n${before}${statements(lines - 2)}${after}`;

    const passing = check({ 'src/x.ts': file(60) });
    const refused = check({ 'src/x.ts': file(61) });

    assert.deepEqual(passing, { status: 0, lines: ['1 files'] });
    assert.deepEqual(refused, { status: 1, lines: [`${reported}: 61 lines; the limit is 60`] });
  });
}

test('a fifth statement around others is refused; else if adds no depth, a function begins anew', () => {
  const { lines } = check({
    'src/deep.ts': `function deep() {
  for (const a of b) if (a) try { while (a) {
    if (a) f(); // the fifth
  } } finally {}
}`,
    'src/chain.ts': `function chain() {
  for (const a of b) if (a) try {
    if (1) f(); else if (2) f(); else if (3) f(); else f();
  } finally {}
}`,
    'src/inner.ts': `function inner() {
  for (const a of b) if (a) try { while (a) g(() => { if (a) f(); }); } finally {}
}`,
  });

  assert.deepEqual(lines, ['src/deep.ts:3: deep: nested deeper than 4']);
});

test('seeing no file at all is a failure', () => {
  assert.deepEqual(check({}), { status: 1, lines: ['saw no file'] });
});
