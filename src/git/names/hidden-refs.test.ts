import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HiddenRefs } from './hidden-refs.ts';

function hidden(...values: string[]): HiddenRefs {
  return new HiddenRefs(values.map((value) => Buffer.from(value)));
}

// git: Documentation/config/transfer.txt, transfer.hideRefs.
for (const [values, shown, hiding] of [
  [[], ['refs/heads/a', 'HEAD'], []],
  [['refs/heads'], ['refs/headsx', 'refs/head', 'refs/tags/a'], ['refs/heads', 'refs/heads/a/b']],
  [['refs/heads//'], ['refs/headsx'], ['refs/heads/a']],
  [
    ['refs', '!refs/heads/a'],
    ['refs/heads/a', 'refs/heads/a/b'],
    ['refs/heads/ab', 'refs/x'],
  ],
  // The last one that matches decides.
  [['!refs/heads/a', 'refs/heads'], [], ['refs/heads/a']],
  [['refs/heads', '!refs/heads', 'refs/heads'], [], ['refs/heads/a']],
  [['^refs/tags'], ['^refs/tags/a'], ['refs/tags/a']],
  [['refs', '!^refs/tags/a'], ['refs/tags/a'], ['refs/tags/b']],
  [['!'], ['HEAD', '!'], []],
  [['^'], ['HEAD', '^x'], ['']],
  [['/'], ['HEAD'], ['/x', '']],
  [['^^x'], ['x'], ['^x']],
] as const) {
  test(`${JSON.stringify(values)} hides ${JSON.stringify(hiding)}`, () => {
    const rules = hidden(...values);

    for (const name of shown) assert.equal(rules.has(Buffer.from(name)), false, name);
    for (const name of hiding) assert.equal(rules.has(Buffer.from(name)), true, name);
  });
}

test('the names in the rules are those behind their signs', () => {
  assert.deepEqual(hidden('!^refs/a/', 'refs/b').names.map(String), ['refs/b', 'refs/a']);
});
