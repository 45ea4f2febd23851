import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { Command } from 'commander';
import { addTokenCommands } from '#cli/commands/token-commands';
import { PUSH_RULE_CHECKS } from '#domain/hooks/push-rules/check-push-rules';
import { type PushChanges, RuleRefusal } from '#domain/hooks/push-rules/push-changes';
import { type PushRule, RuleError } from '#tokens/push-rule';
import {
  decodePushRules,
  encodePushRules,
  isUnrestricted,
  PUSH_RULES,
  parseRulesDocument,
} from '#tokens/push-rules';
import { formatScope, hasAllRights, parseScope } from '#tokens/scope';
import { ADMIN, fails, Site, works } from './token-site.ts';

/** A rule that the server does not have: the longest name of a reference. */
const NAME_LENGTH: PushRule<number | undefined> = {
  parse(value) {
    if (value === undefined || typeof value === 'number') return value;
    throw new RuleError('"nameLength" must be a number');
  },
  format: (value) => value,
  describe: (value) => `names up to ${value}`,
  option: {
    flags: '--name-length <n>',
    description: 'longest name of a reference',
    parse: (values) => Number(values.at(-1)),
  },
};

function checkNameLength(longest: number | undefined, { changes }: PushChanges): void {
  for (const { reference } of changes)
    if (longest !== undefined && reference.length > longest)
      throw new RuleRefusal(`${reference}: the token allows names up to ${longest}`);
}

/** Adds the rule where a maintainer adds one; without its check, if that is forgotten. */
function addRule({ isChecked = true } = {}): Disposable {
  Object.assign(PUSH_RULES, { nameLength: NAME_LENGTH });
  if (isChecked) Object.assign(PUSH_RULE_CHECKS, { nameLength: checkNameLength });
  return {
    [Symbol.dispose]: () => {
      for (const table of [PUSH_RULES, PUSH_RULE_CHECKS]) Reflect.deleteProperty(table, 'nameLength');
    },
  };
}

/** Runs `gitaly-ts token`, and returns its output. */
async function runTokenCommand(...args: string[]): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const program = new Command('gitaly-ts');
  addTokenCommands(program, { stdout, stderr });
  await program.parseAsync(['token', ...args], { from: 'user' });
  return await text(stdout.end());
}

test('a rule that is added to the tables is enforced, from the command to the refusal', async () => {
  using _rule = addRule();
  await using site = await Site.open();
  await site.commit('a');
  works(await site.push((await site.token(ADMIN)).token, 'a', 'main', 'main:old'));
  await site.commit('b');
  const to = ['--to', site.directory];
  const scope = ['--repository', '**', '--access', 'admin', '--name-length', '15'];

  const token = (await runTokenCommand('create', 'bot', ...scope, ...to)).trim();

  assert.match(await runTokenCommand('list', ...to), /bot {2}admin \*\*, names up to 15 {2}until/);
  works(await site.push(token, 'a', 'HEAD:main'));
  const refusal = /refs\/heads\/longer: the token allows names up to 15/;
  fails(await site.push(token, 'a', 'HEAD:longer'), refusal);
  // This one is received by git: it creates and deletes.
  fails(await site.push(token, 'a', 'HEAD:longer', ':old'), refusal);
  assert.doesNotMatch((await site.list(token, 'a')).stdout, /longer/);
});

test('a rule without a check refuses every push', async () => {
  using _rule = addRule({ isChecked: false });
  await using site = await Site.open();
  await site.commit('a');
  const { token } = await site.token({ ...ADMIN, nameLength: 99 });

  fails(await site.push(token, 'a', 'main'), /the server has no check for the rule nameLength of the token/);
});

test('a new rule limits the rights, travels, and belongs to repositories, too', async () => {
  const references = [{ allow: 'refs/heads/**' }];
  assert.equal(hasAllRights(parseScope(ADMIN)), true);
  using _rule = addRule();
  const json = { ...ADMIN, nameLength: 9 };
  const scope = parseScope(json);
  const document = await parseRulesDocument(Buffer.from('{"nameLength":9}'));

  assert.deepEqual(formatScope(scope), json);
  assert.equal(hasAllRights(scope), false);
  assert.equal(isUnrestricted(scope), false);
  assert.deepEqual(document, { references: [], nameLength: 9 });
  for (const rules of [{ nameLength: 9 }, { references, nameLength: 9 }]) {
    const encoded = encodePushRules(parseScope({ ...ADMIN, ...rules }));
    assert.deepEqual(JSON.parse(String(encoded)), rules);
    assert.deepEqual(encodePushRules(decodePushRules(Buffer.from(JSON.stringify(rules)))), encoded);
  }
});

test('rules of references travel as the list that servers of 0.2 understand', () => {
  const references = [{ allow: 'refs/heads/**', force: false }, { deny: '**' }];
  const list = JSON.stringify(references);

  assert.equal(String(encodePushRules(parseScope({ ...ADMIN, references }))), list);
  const rules = decodePushRules(Buffer.from(list));
  assert.deepEqual(rules, { references: parseScope({ ...ADMIN, references }).references });
  assert.equal(encodePushRules(parseScope(ADMIN)), undefined);
});

test('rules that cannot be meant, and none at all, are refused', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['[]', /there are no rules/],
    ['{}', /there are no rules/],
    ['1', /must be a list or an object/],
    ['{"nameLength":9}', /unknown field "nameLength"/],
    ['[{"allow":"**","forc":false}]', /unknown field "forc"/],
    ['[', /JSON/],
  ];
  for (const [form, message] of wrong) assert.throws(() => decodePushRules(Buffer.from(form)), message, form);
});
