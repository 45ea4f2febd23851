import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '#base/gitaly-error';
import { HookRejectedError } from '#client/repository/index';
import { NO_OPENSSH } from '#testkit/clients/ssh-client';
import { gitOutput } from '#testkit/repositories/init-repository';
import { fails, RulesSite, works } from './rules-site.ts';

const MAIN = 'refs/heads/main';
const ONLY_ALICE = {
  protected: [{ on: MAIN, create: ['alice'], update: ['alice'], force: [], delete: [] }],
};

/** Pushes `main` as alice, and sets rules for it. */
async function openWithMain(rules: object, options = {}): Promise<RulesSite> {
  const site = await RulesSite.open(options);
  await site.commit('first');
  works(await site.push('alice', 'main'));
  await site.rule(rules);
  return site;
}

// With and without git in the push: both check the same.
for (const inProcess of [true, false])
  test(`a protected branch is changed by whom a rule names (in process: ${inProcess})`, async () => {
    await using site = await openWithMain(ONLY_ALICE, { config: { git: { in_process: inProcess } } });
    const path = join(site.gitaly.storagePath(), 'a.git');
    await site.commit('second');

    const refusal =
      /refs\/heads\/main: rule 1 of "protected" of the repository does not allow bob to update it \(refs\/heads\/main\)/;
    fails(await site.push('bob', 'main'), refusal);
    fails(await site.push('bob', 'main', 'main:other'), refusal);
    assert.equal(gitOutput(path, ['for-each-ref', '--format=%(refname)']), MAIN);
    if (NO_OPENSSH === false) fails(await site.pushBySsh('main'), refusal);
    works(await site.push('bob', 'main:topic'));
    works(await site.push('alice', 'main'));
    fails(await site.push('alice', '+main~1:main'), /does not allow alice to replace commits/);
    works(await site.push('bob', 'main:kept'));
    await site.rule({ protected: [...ONLY_ALICE.protected, { on: 'refs/heads/kept', delete: ['bob'] }] });
    fails(await site.push('alice', ':kept'), /rule 2 .* does not allow alice to delete it/);
    works(await site.push('bob', ':kept'));
    works(await site.push('bob', ':topic'));
    await site.repository.setRules(undefined);
    gitOutput(path, ['update-ref', '-d', MAIN]);
    await site.rule(ONLY_ALICE);
    fails(await site.push('bob', 'main'), /does not allow bob to create it/);
    works(await site.push('alice', 'main'));
  });

test('who may replace commits may move forward, and a moved tag replaces what it named', async () => {
  await using site = await openWithMain({
    protected: [{ on: 'refs/**', update: [], force: ['alice'], delete: '*' }],
  });
  works(await site.push('bob', 'main:refs/tags/v1'));
  await site.commit('second');

  fails(await site.push('bob', 'main:refs/tags/v1', '-f'), /refs\/tags\/v1: .* bob to replace commits/);
  fails(await site.push('bob', 'main'), /bob to update it/);
  works(await site.push('alice', 'main'));
  works(await site.push('bob', ':refs/tags/v1'));
});

test('a push to a symbolic reference is a push to the reference behind it', async () => {
  await using site = await openWithMain(ONLY_ALICE);
  const path = join(site.gitaly.storagePath(), 'a.git');
  gitOutput(path, ['symbolic-ref', 'refs/heads/alias', MAIN]);
  gitOutput(path, ['symbolic-ref', 'refs/heads/indirect', 'refs/heads/alias']);
  await site.commit('second');

  fails(
    await site.push('bob', 'main:indirect'),
    /refs\/heads\/main \(through refs\/heads\/indirect\): rule 1 of "protected"/,
  );
  works(await site.push('alice', 'main:alias'));
});

for (const [kind, rules] of Object.entries({
  protected: { protected: [{ on: 'refs/heads/release', create: '*', update: '*', force: '*', delete: [] }] },
  references: { references: [{ deny: 'refs/heads/release' }, { allow: '**' }] },
  readOnly: { readOnly: [{ on: 'refs/heads/release' }] },
}))
  test(`a call that deletes a symbolic reference is checked by the rules of its name (${kind})`, async () => {
    await using site = await openWithMain(rules);
    const path = join(site.gitaly.storagePath(), 'a.git');
    gitOutput(path, ['branch', 'v2', MAIN]);
    gitOutput(path, ['symbolic-ref', 'refs/heads/release', 'refs/heads/v2']);

    await assert.rejects(site.as('bob').deleteBranch('release'), HookRejectedError);
    assert.equal(gitOutput(path, ['symbolic-ref', 'refs/heads/release']), 'refs/heads/v2');
    await site.rule({});
    await site.as('bob').deleteBranch('release');
    assert.equal(gitOutput(path, ['for-each-ref', '--format=%(refname)']), `${MAIN}\nrefs/heads/v2`);
  });

test('calls for a user follow the rules of the repository', async () => {
  await using site = await openWithMain({
    ...ONLY_ALICE,
    paths: [{ paths: ['deploy/'], on: 'refs/heads/**', except: ['alice'] }],
    message: [{ pattern: '^[A-Z]+-[0-9]+: ', on: 'refs/heads/topic', except: [] }],
  });
  const change = { message: 'change', files: { 'a.txt': 'a' } };
  const refused = (text: RegExp) => (error: unknown) => {
    assert.ok(error instanceof HookRejectedError, String(error));
    assert.match(error.message, text);
    return true;
  };

  await assert.rejects(site.as('bob').commit({ ...change, branch: 'main' }), refused(/bob to update it/));
  await site.as('alice').commit({ ...change, branch: 'main' });
  await site.as('bob').createBranch('topic', 'main');
  await assert.rejects(
    site.as('bob').commit({ ...change, branch: 'topic', files: { 'b.txt': 'b' } }),
    refused(/message/),
  );
  await site.as('bob').commit({ message: 'GIT-1: b', branch: 'topic', files: { 'b.txt': 'b' } });
  await assert.rejects(
    site.as('bob').commit({ message: 'GIT-2: c', branch: 'topic', files: { 'deploy/c': 'c' } }),
    refused(/rule 1 of "paths" of the repository does not allow to change "deploy\/c"/),
  );
  const merge = { source: 'topic', into: 'main', message: 'Merge' };
  await assert.rejects(site.as('bob').merge(merge), refused(/bob to update it/));
  await site.as('alice').merge(merge);
  await assert.rejects(
    site.as('bob').deleteBranch('main', { allowDefault: true }),
    refused(/bob to delete it/),
  );
  await site.as('bob').deleteBranch('topic');
});

test('a merge is checked by its result', async () => {
  await using site = await openWithMain({});
  await site.commit('deploy/a', 'base', 'base\n');
  works(await site.push('alice', 'main'));
  await site.ok('-C', site.work, 'switch', '-qc', 'side', 'main');
  await site.commit('side.txt');
  await site.ok('-C', site.work, 'switch', '-q', 'main');
  await site.commit('deploy/a', 'newer', 'newer\n');
  works(await site.push('alice', 'main'));
  await site.rule({ paths: [{ paths: ['deploy'], except: ['alice'] }] });

  // As git merges: the file is that of main.
  await site.ok('-C', site.work, 'switch', '-qc', 'plain', 'side');
  await site.ok('-C', site.work, 'merge', '-q', '--no-edit', 'main');
  works(await site.push('bob', 'plain:main'));
  // The result takes the file from the side on which nobody changed it, or from no side.
  for (const content of ['base\n', 'evil\n']) {
    await site.ok('-C', site.work, 'switch', '-qC', 'evil', 'side');
    await site.ok('-C', site.work, 'merge', '-q', '--no-commit', '--no-ff', 'main');
    writeFileSync(join(site.work, 'deploy/a'), content);
    await site.ok('-C', site.work, 'commit', '-qam', 'evil');
    fails(await site.push('bob', 'evil:topic'), /rule 1 of "paths" .* to change "deploy\/a"/);
    works(await site.push('alice', 'evil:topic'));
    works(await site.push('alice', ':topic'));
  }
});

test('what a rule forbids does not come in by another branch to which it does not apply', async () => {
  await using site = await openWithMain({ paths: [{ paths: ['deploy/'], on: 'refs/heads/release-*' }] });
  works(await site.push('bob', 'main:release-1'));
  await site.commit('deploy/a');
  works(await site.push('bob', 'main')); // the rule does not apply to main, which HEAD names

  fails(
    await site.push('bob', 'main:release-1'),
    /"paths" of the repository does not allow to change "deploy\/a"/,
  );
});

test('large files are refused with their names, however they come', async () => {
  await using site = await openWithMain({ largestFile: [{ bytes: 1000, except: ['alice'] }] });
  await site.commit('dir/exact', 'exact', 'x'.repeat(1000));
  works(await site.push('bob', 'main'));
  await site.commit('dir/large', 'large', 'x'.repeat(1001));
  const blob = await site.ok('-C', site.work, 'rev-parse', 'HEAD:dir/large');
  await site.ok('-C', site.work, 'rm', '-q', 'dir/large');
  await site.ok('-C', site.work, 'commit', '-qm', 'removed');

  fails(
    await site.push('bob', 'main'),
    /refs\/heads\/main: rule 1 of "largestFile" of the repository does not allow files above 1000 bytes: "dir\/large"/,
  );
  fails(await site.push('bob', `${blob}:refs/blobs/x`), new RegExp(`above 1000 bytes: .*${blob}`));
  works(await site.push('alice', 'main'));
});

test('commits without a signature are refused', async () => {
  await using site = await openWithMain({ signature: [{ on: MAIN, except: ['bot'] }] });
  const oid = await site.commit('second');

  fails(await site.push('bob', 'main'), new RegExp(`"signature" .* commits without a signature: ${oid}`));
  works(await site.push('bot', 'main'));
  const tree = await site.ok('-C', site.work, 'rev-parse', 'HEAD^{tree}');
  const person = 'A <a@example.com> 1700000000 +0000';
  const signed =
    `tree ${tree}\nparent ${oid}\nauthor ${person}\ncommitter ${person}\n` +
    'gpgsig -----BEGIN SSH SIGNATURE-----\n x\n -----END SSH SIGNATURE-----\n\ngpgsig \n';
  writeFileSync(join(site.directory, 'signed'), signed);
  const made = await site.ok(
    '-C',
    site.work,
    'hash-object',
    '-t',
    'commit',
    '-w',
    join(site.directory, 'signed'),
  );
  works(await site.push('bob', `${made}:main`));
});

test('a read-only repository says why', async () => {
  await using site = await openWithMain({ readOnly: [{ reason: 'it was archived', except: ['alice'] }] });

  fails(
    await site.push('bob', 'main:x'),
    /refs\/heads\/x: rule 1 of "readOnly" of the repository allows no change: it was archived/,
  );
  works(await site.push('alice', 'main:x'));
});

test('an invalid document is refused, and one that is in place refuses every push', async () => {
  await using site = await openWithMain({});
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['{', /not a JSON object/],
    ['[]', /not a JSON object/],
    ['{"protekted":[]}', /unknown field "protekted"/],
    ['{"protected":[{"on":"refs/heads/main","creat":[]}]}', /"protected", rule 1: unknown field "creat"/],
    ['{"protected":{}}', /"protected" must be a list/],
    ['{"protected":[{"update":"alice"}]}', /"update" must be a list/],
    ['{"paths":[{"paths":["/etc"]}]}', /relative to the top/],
    ['{"largestFile":[{"bytes":-1}]}', /"bytes" must be a whole number/],
    ['{"message":[{"pattern":"("}]}', /"message"/],
    ['{"message":[{"pattern":"(a)\\\\1"}]}', /"message"/],
  ];
  for (const [document, reason] of wrong)
    await assert.rejects(site.repository.setRules(document), (error: unknown) => {
      assert.equal(codeOf(error), 'INVALID_ARGUMENT', document);
      assert.match(String(error), reason);
      return true;
    });
  assert.equal(await site.repository.rules(), '{}');

  const file = join(site.gitaly.storagePath(), 'a.git/custom_hooks/gitaly-ts/rules.json');
  writeFileSync(file, '{"protekted":[]}');
  await site.commit('second');
  const refusal =
    /the rules of the repository cannot be used, so it accepts no push: unknown field "protekted"/;
  fails(await site.push('alice', 'main'), refusal);
  await assert.rejects(site.as('alice').createBranch('x', 'main'), refusal);
  rmSync(file);
  mkdirSync(file);
  fails(await site.push('alice', 'main'), /the rules of the repository cannot be used/);
  rmSync(file, { recursive: true });
  works(await site.push('alice', 'main'));
});

test('hooks that are set later keep rules and description, and a fork gets the rules by choice', async () => {
  await using site = await openWithMain(ONLY_ALICE);
  const { connection } = site.gitaly;
  await site.repository.setDescription('The site');
  await connection.repository.setCustomHooks([
    { repository: site.repository.message, data: Buffer.alloc(0) },
  ]);
  assert.equal(await site.repository.description(), 'The site');
  assert.deepEqual(JSON.parse(String(await site.repository.rules())), ONLY_ALICE);

  const plain = await site.repository.fork('plain.git');
  const ruled = await site.repository.fork('ruled.git', { rules: true });
  assert.equal(await plain.rules(), undefined);
  assert.deepEqual(JSON.parse(String(await ruled.rules())), ONLY_ALICE);
});

test('a push of many references is searched at once, and the refusal names the right one', async () => {
  await using site = await openWithMain({
    paths: [{ paths: ['deploy/'], except: ['alice'] }],
    message: [{ pattern: '^[a-z]' }],
  });
  const refspecs: string[] = [];
  for (let number = 0; number < 20; number++) {
    await site.ok('-C', site.work, 'switch', '-qc', `topic-${number}`, 'main');
    await site.commit(number === 13 ? 'deploy/a' : `f${number}`);
    refspecs.push(`topic-${number}`);
  }

  fails(
    await site.push('bob', ...refspecs),
    /refs\/heads\/topic-13: rule 1 of "paths" of the repository does not allow to change "deploy\/a"/,
  );
  works(await site.push('alice', ...refspecs));
});

/** The server creates as many at once. */
const MANY_REFERENCES = 20;

// Over SSH the server decides what a push needs before it knows what comes. The protocol, which is
// the client's choice, decides whether git receives the push alone.
for (const [how, inProcess, protocol] of [
  ['in process', true, 2],
  ['by git, in protocol v1', true, 1],
  ['by git', false, 2],
] as const) {
  test(`rules that are set while a push waits for its client apply to it (${how})`, {
    skip: NO_OPENSSH,
  }, async () => {
    await using site = await openWithMain({}, { config: { git: { in_process: inProcess } } });
    await site.repository.setRules(undefined);
    await site.commit('second');

    fails(await site.pushBySshAround(protocol, () => site.rule(ONLY_ALICE)), /bob to update it/);
  });

  for (const hook of ['pre-receive', 'update'])
    test(`a script of ${hook} that is set while a push waits applies to it (${how})`, {
      skip: NO_OPENSSH,
    }, async () => {
      await using site = await RulesSite.open({ config: { git: { in_process: inProcess } } });
      await site.commit('first');
      works(await site.push('alice', 'main'));
      await site.commit('second');
      const path = join(site.gitaly.storagePath(), 'a.git');
      const before = gitOutput(path, ['for-each-ref']);
      const set = () => {
        mkdirSync(join(path, 'custom_hooks'), { recursive: true });
        writeFileSync(join(path, 'custom_hooks', hook), '#!/bin/sh\necho refused by script\nexit 1\n', {
          mode: 0o755,
        });
      };

      const many = Array.from({ length: MANY_REFERENCES }, (_, number) => `main:new-${number}`);
      for (const refspecs of [['main'], many]) {
        rmSync(join(path, 'custom_hooks'), { recursive: true, force: true });
        const pushed = await site.pushBySshAround(protocol, set, refspecs);
        fails(pushed, /refused by script|hooks .* push again/);
        assert.equal(gitOutput(path, ['for-each-ref']), before);
      }
    });
}
