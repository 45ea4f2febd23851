import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodePushRules,
  encodePushRules,
  isUnrestricted,
  PUSH_RULES,
  type PushRules,
  parseRulesDocument,
} from './push-rules.ts';
import { textOfRule } from './reference-rules.ts';

function parse(document: object): Promise<PushRules> {
  return parseRulesDocument(Buffer.from(JSON.stringify(document)));
}

test('a rule of references is printed as it was given', () => {
  const { option, parse: parseRules } = PUSH_RULES.references;
  for (const text of [
    'deny **',
    'allow refs/heads/*',
    'allow refs/heads/** no-force',
    'allow refs/tags/** no-delete',
    'allow refs/heads/docs no-force no-delete path=docs/ path=README.md',
  ]) {
    const rules = parseRules(option?.parse([text]));

    assert.deepEqual(rules.map(textOfRule), [text]);
  }
});

test('a misspelt name of a rule or a field is no missing one', async () => {
  for (const [document, problem] of [
    [{ protectd: [] }, /unknown field "protectd"/],
    [{ protected: [{ on: 'refs/heads/main', updat: ['ann'] }] }, /rule 1: unknown field "updat"/],
    [{ paths: [{}, { one: 'refs/heads/main' }] }, /unknown field "one"|rule 1/],
  ] as const)
    await assert.rejects(parse(document), problem);
});

test('rules travel with a push, unless they limit nothing', async () => {
  const protectedOnes = [{ on: 'refs/heads/main', update: ['ann'] }];
  for (const document of [
    { references: [{ allow: 'refs/heads/**', force: false }] },
    { protected: protectedOnes },
    { references: [{ deny: 'refs/tags/**' }, { allow: '**', delete: false }], protected: protectedOnes },
  ]) {
    const rules = await parse(document);
    const bytes = encodePushRules(rules) ?? assert.fail('they limit something');

    assert.deepEqual(decodePushRules(bytes), rules);
    assert.equal(isUnrestricted(rules), false);
    // Servers of 0.2 read a list.
    assert.equal(Array.isArray(JSON.parse(String(bytes))), !('protected' in document));
  }
  const none = await parse({});
  assert.deepEqual([isUnrestricted(none), encodePushRules(none)], [true, undefined]);
  assert.throws(() => decodePushRules(Buffer.from('[]')), /there are no rules/);
});
