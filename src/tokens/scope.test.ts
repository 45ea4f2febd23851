import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Access, accessTo, hasAllRights, mayAdminister, parseScope } from './scope.ts';

const ALL = { access: 'admin', repositories: ['**'] };

test('a scope covers paths with or without .git', () => {
  const cases: readonly (readonly [pattern: string, path: string, access: Access | undefined])[] = [
    ['team/*', 'team/app.git', 'read'],
    ['team/*', 'team/app/sub.git', undefined],
    ['team/**', 'team/app/sub.git', 'read'],
    ['team/app', 'team/app.git', 'read'],
    ['team/app.git', 'team/app.git', 'read'],
    ['team/app', 'team/app2.git', undefined],
    ['team/a.p', 'team/a.p', 'read'],
  ];
  for (const [pattern, path, access] of cases)
    assert.equal(accessTo(parseScope({ access: 'read', repositories: [pattern] }), path), access, pattern);
});

test('any of the patterns of a scope covers a path', () => {
  const scope = parseScope({ access: 'write', repositories: ['a', 'b'] });

  assert.deepEqual(
    ['a.git', 'b.git', 'c.git'].map((path) => accessTo(scope, path)),
    ['write', 'write', undefined],
  );
});

test('only an administrator of everything, whom no rule limits, has all rights', () => {
  const rules = { references: [{ deny: 'refs/tags/**' }] };
  const cases: readonly (readonly [scope: object, ofAll: boolean, ofOne: boolean])[] = [
    [ALL, true, true],
    [{ ...ALL, repositories: ['other', '**'] }, true, true],
    [{ ...ALL, repositories: ['team/**'] }, false, true],
    [{ ...ALL, repositories: ['other/**'] }, false, false],
    [{ ...ALL, access: 'write' }, false, false],
    [{ ...ALL, ...rules }, false, false],
    [{ ...ALL, references: [] }, true, true],
  ];
  for (const [json, ofAll, ofOne] of cases) {
    const scope = parseScope(json);
    const rights = [hasAllRights(scope), mayAdminister(scope, 'team/app.git')];
    assert.deepEqual(rights, [ofAll, ofOne], JSON.stringify(json));
  }
});

test('a scope names an access, and 1 to 50 patterns of 1 to 256 characters', () => {
  const many = (count: number): string[] => Array.from({ length: count }, (_, index) => `p${index}`);
  for (const repositories of [many(1), many(50), ['a'.repeat(256)]])
    assert.deepEqual(parseScope({ ...ALL, repositories }).repositories, repositories);
  for (const repositories of [[], many(51), ['a'.repeat(257)], ['a', ''], ['a', 1], 'a', undefined])
    assert.throws(() => parseScope({ ...ALL, repositories }), /must be a list of 1 to 50 patterns/);
  for (const access of ['owner', '', undefined, 1])
    assert.throws(() => parseScope({ ...ALL, access }), /"access" must be one of read, write, admin/);
  for (const scope of [undefined, null, 'admin', ['admin']])
    assert.throws(() => parseScope(scope), /the scope must be an object/);
});
