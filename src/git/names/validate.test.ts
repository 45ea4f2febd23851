import assert from 'node:assert/strict';
import { test } from 'node:test';
import { validateReference } from './validate-reference.ts';
import { validateRevision } from './validate-revision.ts';

for (const [name, problem] of [
  ['HEAD', 'HEAD reference not allowed'],
  ['', 'reference is not fully qualified'],
  ['refs', 'reference is not fully qualified'],
  ['heads/main', 'reference is not fully qualified'],
  ['refs/', 'refs/ is not a valid reference'],
  ['refs/heads/', 'reference must not end with slash'],
  ['refs/heads/a.', 'reference must not end with dot'],
  ['refs/heads/a@{b', 'reference must not contain @{'],
  ['refs/heads/a..b', 'reference must not contain double dots'],
  ['refs/heads/a b', 'reference must not contain space characters'],
  ['refs/heads/a\nb', 'reference must not contain space characters'],
  ['refs/heads/a~b', 'reference must not contain special characters'],
  ['refs/heads/a\x7fb', 'reference must not contain special characters'],
  ['refs/heads/a\0b', 'reference must not contain control characters'],
  ['refs//heads', 'empty component is not allowed'],
  ['refs/.heads', 'component must not start with dot'],
  ['refs/heads.lock/x', 'component must not end with .lock'],
  ['refs/heads/a..b/', 'reference must not end with slash'],
  ['refs/x', undefined],
  ['refs/heads/HEAD', undefined],
  ['refs/heads/@', undefined],
  ['refs/heads/-a', undefined],
  ['refs/heads/a./b', undefined],
  ['refs/heads/a].Lock%41', undefined],
  [Buffer.from('refs/heads/\xff\xa0', 'latin1'), undefined],
] as const) {
  const outcome = problem === undefined ? 'valid' : 'refused';
  test(`the reference name ${JSON.stringify(String(name))} is ${outcome}`, () => {
    assert.equal(validateReference(name), problem);
  });
}

for (const [revision, rules, problem] of [
  ['-x', {}, "revision can't start with '-'"],
  ['-\0', {}, "revision can't start with '-'"],
  ['a\0 ', {}, "revision can't contain NUL"],
  ['', {}, 'empty revision'],
  ['', { allowEmpty: true }, undefined],
  ['a b', {}, "revision can't contain whitespace"],
  ['a\r', {}, "revision can't contain whitespace"],
  ['a:b', {}, "revision can't contain ':'"],
  ['a\\b', {}, "revision can't contain '\\'"],
  ['a: b\n\\', { allowPathScoped: true }, undefined],
  [':x', { allowPathScoped: true }, 'empty revision'],
  ['a:\0', { allowPathScoped: true }, "revision can't contain NUL"],
  ['--all', {}, "revision can't start with '-'"],
  ['--all', { allowPseudo: true }, undefined],
  ['--glob=refs/*', { allowPseudo: true }, undefined],
  ['--exclude=x', { allowPseudo: true }, "revision can't start with '-'"],
  ['--allx', { allowPseudo: true }, "revision can't start with '-'"],
  [Buffer.from('main~3^{commit}\xff', 'latin1'), {}, undefined],
] as const) {
  test(`revision ${JSON.stringify(`${revision}`)}, ${JSON.stringify(rules)}: ${problem ?? 'valid'}`, () => {
    assert.equal(validateRevision(revision, rules), problem);
  });
}
