import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommands } from '#testkit/programs/run-commands';
import { parseScope } from '#tokens/scope';
import { TokenStore } from '#tokens/token-store';
import { TokenVerifier } from '#tokens/token-verifier';
import { addTokenCommands } from '../commands/token-commands.ts';
import { tokensIn } from './token.ts';

const token = (...args: string[]) => runCommands(['token', ...args], addTokenCommands);

test('tokens are issued, listed and revoked, and keys rotate', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'token-'));
  try {
    const place = ['--to', directory];
    const verifier = new TokenVerifier({ store: new TokenStore(tokensIn(directory)) });
    const rules = ['--ref', 'allow refs/heads/docs no-force no-delete path=docs/', '--ref', 'deny **'];
    const scope = ['--repository', 'team/**', '--access', 'write', '--expires', '2h', ...rules];
    const made = await token('create', 'ci', ...scope, ...place);
    assert.equal(made.code, 0, made.stderr);
    const text = made.stdout.trim();
    assert.match(made.stderr, /^Token [\w-]+ for ci, valid until .*\. It is shown only once:\n$/);
    const allowed = {
      effect: 'allow',
      pattern: 'refs/heads/docs',
      force: false,
      delete: false,
      paths: ['docs/'],
    };
    const owner = await verifier.verify(text);
    assert.deepEqual(owner?.scope.references[0], allowed);

    const [listed] = JSON.parse((await token('list', '--json', ...place)).stdout);
    assert.deepEqual([listed.subject, listed.expiresAt - listed.issuedAt], ['ci', 7200]);
    assert.match((await token('list', ...place)).stdout, /ci {2}write team\/\*\*, 2 rules {2}until /);

    const [oldKey = ''] = await new TokenStore(tokensIn(directory)).keyIds();
    assert.match((await token('rotate-keys', ...place)).stdout, /^created key /);
    assert.notEqual(await verifier.verify(text), undefined);
    assert.equal((await token('revoke', '--name', 'ci', ...place)).stdout, `revoked ${listed.id}\n`);
    assert.equal(await verifier.verify(text), undefined);
    assert.match((await token('list', ...place)).stdout, /revoked$/m);
    assert.match((await token('rotate-keys', '--remove', oldKey, ...place)).stdout, /removed key/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

// One file of a newer version: no token could be listed, nor revoked by its name.
test('a file that cannot be read is listed by its id, and every token can be revoked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'token-'));
  try {
    const place = ['--to', directory];
    const create = async (name: string): Promise<string> => {
      const made = await token('create', name, '--repository', 'a', '--json', ...place);
      return JSON.parse(made.stdout).id;
    };
    const [good, newer, broken] = [await create('good'), await create('newer'), await create('broken')];
    const file = (id: string): string => join(tokensIn(directory), 'issued', id);
    const fields = JSON.parse(readFileSync(file(newer), 'utf8'));
    writeFileSync(file(newer), JSON.stringify({ ...fields, scope: { ...fields.scope, later: true } }));
    writeFileSync(file(broken), '{"subj');
    mkdirSync(file('directory'));

    const listed = await token('list', ...place);
    assert.equal(listed.code, 0, listed.stderr);
    assert.match(listed.stdout, new RegExp(`^${good}  good  read a  until `, 'm'));
    assert.match(listed.stdout, new RegExp(`^${newer}  newer  unreadable for this version  until `, 'm'));
    assert.match(listed.stdout, new RegExp(`^${broken}  \\?  unreadable for this version  with`, 'm'));
    assert.match(listed.stdout, /^directory {2}\? {2}unreadable/m);
    assert.equal(JSON.parse((await token('list', '--json', ...place)).stdout).length, 4);

    assert.equal((await token('revoke', '--name', 'newer', ...place)).stdout, `revoked ${newer}\n`);
    assert.equal((await token('revoke', broken, 'directory', ...place)).code, 0);
    const store = new TokenStore(tokensIn(directory));
    for (const id of [newer, broken, 'directory']) assert.equal(await store.isRevoked(id), true);
    assert.equal(await store.isRevoked(good), false);
    assert.notEqual(await create('another'), '');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a token may have no end, and an expired one stays listed for 30 days', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'token-'));
  try {
    const place = ['--to', directory];
    const made = await token('create', 'ci', '--repository', 'a', '--expires', 'never', ...place);
    assert.match(made.stderr, /^Token [\w-]+ for ci, valid without an end\./);
    const store = new TokenStore(tokensIn(directory));
    assert.notEqual(await new TokenVerifier({ store }).verify(made.stdout.trim()), undefined);
    const now = Math.floor(Date.now() / 1000);
    const scope = parseScope({ access: 'read', repositories: ['a'] });
    for (const days of [29, 31])
      await store.note({
        ...{ subject: `expired-${days}`, scope, issuedAt: now - 90 * 86_400 },
        expiresAt: now - days * 86_400,
      });
    const times = { issuedAt: now - 90 * 86_400, expiresAt: now - 86_400 };
    await store.revoke(await store.note({ subject: 'revoked-before', scope, ...times }));

    const { stdout } = await token('list', ...place);

    assert.match(stdout, /^[\w-]+ {2}ci {2}read a {2}without an end$/m);
    assert.match(stdout, /^[\w-]+ {2}expired-29 {2}read a {2}expired 20/m);
    assert.doesNotMatch(stdout, /expired-31/);
    assert.match(stdout, /^[\w-]+ {2}revoked-before {2}read a {2}revoked$/m);
    assert.match((await token('revoke', '--name', 'expired-29', ...place)).stderr, /no token that is valid/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('wrong usage is explained, with exit code 2', async () => {
  const wrong: readonly (readonly [RegExp, ...string[]])[] = [
    [/name repositories: --repository/, 'create', 'ci'],
    [/Write a time such as 90m/, 'create', 'ci', '--repository', 'a', '--expires', '3 weeks'],
    [/begin with allow or deny/, 'create', 'ci', '--repository', 'a', '--ref', 'permit x'],
    [/noforce is not no-force/, 'create', 'ci', '--repository', 'a', '--ref', 'allow x noforce'],
    [/a name has 1 to 128 letters/, 'create', 'c i', '--repository', 'a'],
    [/"repositories" must be a list/, 'create', 'ci', '--repository', ''],
    [/give ids of tokens/, 'revoke'],
    [/is no id of a token/, 'revoke', '../keys/x'],
    [/there is no key x/, 'rotate-keys', '--remove', 'x'],
  ];
  const directory = mkdtempSync(join(tmpdir(), 'token-'));
  for (const [message, ...args] of wrong) {
    const { code, stderr } = await token(...args, '--to', directory);
    assert.match(stderr, message);
    assert.equal(code, 2, args.join(' '));
  }
  rmSync(directory, { recursive: true });
});

test('the directory can be given by the former name of the option, too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'token-'));
  try {
    const made = await token('create', 'ci', '--repository', 'a', '--in', directory, '--json');
    assert.equal(made.code, 0, made.stderr);
    const { id } = JSON.parse(made.stdout);

    assert.match((await token('list', '--to', directory)).stdout, new RegExp(id));
    assert.match((await token('list', '--in', directory)).stdout, new RegExp(id));
    const help = await token('list', '--help');
    assert.match(help.stdout, /--to <dir>/);
    assert.doesNotMatch(help.stdout, /--in/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
