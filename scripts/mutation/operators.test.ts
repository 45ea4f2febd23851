import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyMutant, canBeParsed, mutantsOf } from './operators.ts';

/** Returns the changed sources by operator. */
function mutate(source: string): string[] {
  return mutantsOf('x.ts', source)
    .filter((mutant) => canBeParsed(mutant, source))
    .map((mutant) => `${mutant.operator}: ${applyMutant(mutant, source)}`);
}

for (const [source, expected] of [
  ['if (a) b;', ['negate the condition: if (!(a)) b;']],
  ['const x = a < b;', ['< → <=: const x = a <= b;']],
  ['const x = a && b;', ['&& → ||: const x = a || b;']],
  ['const x = a ?? b;', ['drop the default: const x = (a);']],
  ['const x = !a;', ['drop the !: const x = a;']],
  ['const x = 3;', ['another number: const x = 4;']],
  ['const x = 1;', ['another number: const x = 0;']],
  ['const x = true;', ['true → false: const x = false;']],
  ['a.some(b);', ['remove the statement: ;', 'some → every: a.every(b);']],
  ['function f() { throw a; }', ['remove the throw: function f() { ; }']],
  ['function f() { return a; }', ['return undefined: function f() { return undefined; }']],
  ['const f = () => a;', ['return undefined: const f = () => undefined;']],
  ['await a();', ['remove the await: (a());', 'remove the statement: ;']],
  ['async () => { return await 4096; }', ['return undefined: async () => { return undefined; }']],
  ['async () => await 4096;', ['return undefined: async () => undefined;']],
  [
    'async () => f(await 4096);',
    ['return undefined: async () => undefined;', 'remove the await: async () => f((4096));'],
  ],
  [
    'async () => { try { return await 4096; } catch { return await 4097; } }',
    [
      'return undefined: async () => { try { return undefined; } catch { return await 4097; } }',
      'remove the await: async () => { try { return (4096); } catch { return await 4097; } }',
      'return undefined: async () => { try { return await 4096; } catch { return undefined; } }',
    ],
  ],
  [
    'async () => { using x = 4096; return await 4096; }',
    [
      'return undefined: async () => { using x = 4096; return undefined; }',
      'remove the await: async () => { using x = 4096; return (4096); }',
    ],
  ],
  ['const x = (a as Map<string, 1>).size;', []],
  ['type A = 1 | 2; interface B { c: true }', []],
  ["import a from 'b'; const x = a + 'c';", []],
  ['const x = 4096;', []],
  ['const NAMES: NamesOf<Options> = { host: true };', []],
  ['class A extends B { constructor() { super(); } }', []],
] as const) {
  test(`the mutants of ${source}`, () => {
    assert.deepEqual(mutate(source), expected);
  });
}

test('a mutant keeps its id when lines are added before it, and equal lines have ids of their own', () => {
  const source = 'a();\nb();\na();\n';
  const ids = (text: string): string[] => mutantsOf('x.ts', text).map(({ id }) => id);

  assert.deepEqual(ids(source), [
    'x.ts: remove the statement: a();',
    'x.ts: remove the statement: b();',
    'x.ts: remove the statement: a(); #2',
  ]);
  assert.deepEqual(ids(`c;\n\n${source}`), ids(source));
});

test('an operator between operands is executed with the left one', () => {
  const source = 'const x = first && second;';

  const [mutant] = mutantsOf('x.ts', source);

  assert.equal(source.slice(mutant?.executed), 'first && second;');
});

test('only a test that needs a default can notice that it is gone', () => {
  const source = 'const x = first ?? second;';

  const [mutant] = mutantsOf('x.ts', source);

  assert.equal(source.slice(mutant?.executed), 'second;');
});

test('a source that cannot be parsed is an error', () => {
  assert.throws(() => mutantsOf('x.ts', 'if ('), /^Error: x\.ts: /);
});
