import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { type RunResult, run } from '#testkit/run-program';
import { ADMIN, fails, Site, works } from './token-site.ts';

test('a token reads, writes and creates what its scope has, and sees nothing else', async () => {
  await using site = await Site.open();
  const [admin, reader, writer] = await Promise.all([
    site.token(ADMIN),
    site.token({ access: 'read', repositories: ['team/*'] }),
    site.token({ access: 'write', repositories: ['team/*'] }),
  ]);
  await site.commit('a');
  for (const name of ['team/app.git', 'other/app.git']) works(await site.push(admin.token, name, 'main'));
  await site.commit('b');

  works(await site.list(reader.token, 'team/app'));
  fails(await site.push(reader.token, 'team/app', 'main'), /403|not push to it/);
  works(await site.push(writer.token, 'team/app', 'main'));
  fails(await site.list(writer.token, 'other/app'), /not found/);
  fails(await site.push(writer.token, 'team/new', 'main'), /not found/);
  const bearer = ['-c', `http.extraHeader=Authorization: Bearer ${reader.token}`];
  works(await site.git(...bearer, 'ls-remote', `${site.http.url}/team/app`));
});

test('a revoked token is refused by the next request, like one that never was', async () => {
  await using site = await Site.open();
  await site.commit('a');
  works(await site.push((await site.token(ADMIN)).token, 'a', 'main'));
  const { id, token } = await site.token({ access: 'read', repositories: ['a'] });
  works(await site.list(token, 'a'));
  const answer = async (text: string): Promise<string> => {
    const headers = { authorization: `Bearer ${text}` };
    const url = `${site.http.url}/a.git/info/refs?service=git-upload-pack`;
    const { status, statusText, ...response } = await fetch(url, { headers }).then(async (it) => ({
      status: it.status,
      statusText: it.statusText,
      body: await it.text(),
      challenge: it.headers.get('www-authenticate'),
    }));
    return JSON.stringify({ status, statusText, ...response });
  };

  await site.store.revoke(id);

  const refused = await answer(token);
  assert.match(refused, /"status":401/);
  const other = await site.token({ access: 'read', repositories: ['a'] });
  assert.equal(await answer(`${other.token.slice(0, -4)}AAAA`), refused);
  assert.equal(await answer('nonsense'), refused);
});

test('rules of references hold where they move, and the refusal names the rule', async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  const bot = await site.token({
    access: 'write',
    repositories: ['a'],
    references: [
      { allow: 'refs/heads/bot/**', delete: false },
      { allow: 'refs/heads/docs', force: false, paths: ['docs/', 'README.md'] },
      { allow: 'refs/tags/**', force: false },
      { deny: 'refs/heads/main' },
    ],
  });
  await site.commit('src/a');
  works(await site.push(admin.token, 'a', 'main', 'main:docs', 'main:bot/old', 'main:refs/tags/v1'));
  const push = (...args: string[]): Promise<RunResult> => site.push(bot.token, 'a', ...args);

  await site.commit('src/b');
  works(await push('HEAD:bot/x'));
  works(await push('--force', 'HEAD~1:bot/x'));
  fails(
    await push(':bot/x'),
    /bot\/x: rule 1 of the token does not allow to delete \(allow refs\/heads\/bot\/\*\* no-delete\)/,
  );
  fails(await push('HEAD:main'), /refs\/heads\/main: rule 4 of the token denies it/);
  fails(await push('HEAD:other'), /refs\/heads\/other: no rule of the token allows it/);
  fails(await push('HEAD:docs'), /rule 2 of the token does not allow to change "src\/b"/);
  works(await push('HEAD:refs/tags/v2'));
  fails(await push('--force', 'HEAD:refs/tags/v1'), /rule 3 of the token does not allow to replace/);
  // Deleted references could be created again with any value.
  fails(await push(':docs'), /rule 2 of the token does not allow to delete/);
  fails(await push(':refs/tags/v1'), /rule 3 of the token does not allow to delete/);
  // One change that is refused refuses the whole push.
  fails(await push('HEAD:bot/y', 'HEAD:main'), /denies it/);
  const { stdout } = await site.list(admin.token, 'a');
  assert.doesNotMatch(stdout, /bot\/y|heads\/other/);

  await site.ok('-C', site.work, 'reset', '-q', '--hard', 'HEAD~1');
  await site.commit('docs/one');
  await site.commit('README.md');
  works(await push('HEAD:docs'));
  await site.ok('-C', site.work, 'reset', '-q', '--hard', 'HEAD~1');
  await site.commit('docs/two');
  fails(
    await push('--force', 'HEAD:docs'),
    /does not allow to replace commits \(allow refs\/heads\/docs no-force path=docs\/ path=README\.md\)/,
  );
});

test('a merge may bring what HEAD has, but not what only another branch has', async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  const docs = await site.token({
    access: 'write',
    repositories: ['a'],
    references: [{ allow: 'refs/heads/docs', paths: ['docs/'] }, { allow: 'refs/heads/scratch' }],
  });
  await site.commit('src/a');
  works(await site.push(admin.token, 'a', 'main', 'main:docs'));
  await site.ok('-C', site.work, 'checkout', '-q', '-b', 'docs');
  await site.commit('docs/one');
  await site.ok('-C', site.work, 'checkout', '-q', 'main');
  await site.commit('src/b');
  works(await site.push(admin.token, 'a', 'main'));
  await site.ok('-C', site.work, 'checkout', '-q', 'docs');
  await site.ok('-C', site.work, 'merge', '-q', '-m', 'from main', 'main');
  works(await site.push(docs.token, 'a', 'docs'));

  await site.commit('src/c');
  works(await site.push(docs.token, 'a', 'HEAD:scratch'));
  fails(await site.push(docs.token, 'a', 'docs'), /rule 1 of the token does not allow to change "src\/c"/);
});

test("a merge does not change other files than git's own merge of its parents", async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  const docs = await site.token({
    access: 'write',
    repositories: ['a'],
    references: [{ allow: '**', force: false, paths: ['docs/'] }],
  });
  await site.commit('src/fixed');
  await site.commit('docs/one');
  works(await site.push(admin.token, 'a', 'main'));
  await site.commit('src/fixed');
  works(await site.push(admin.token, 'a', 'main'));
  const merge = async (tree: string, ...parents: string[]): Promise<string> => {
    const words = ['commit-tree', '-m', 'merge', ...parents.flatMap((parent) => ['-p', parent]), tree];
    const { stdout } = await site.git('-C', site.work, ...words);
    return stdout.trim();
  };
  const reverting = await merge('main~1^{tree}', 'main', 'main~1');
  const reverted = /rule 1 of the token does not allow to change "src\/fixed"/;

  fails(await site.push(docs.token, 'a', `${reverting}:main`), reverted);
  const swapped = await merge('main~1^{tree}', 'main~1', 'main');
  fails(await site.push(docs.token, 'a', `${swapped}:main`), reverted);
  const above = await merge(`${reverting}^{tree}`, reverting, 'main');
  fails(await site.push(docs.token, 'a', `${above}:main`), reverted);
  const three = await merge('main~1^{tree}', 'main', 'main~1', 'main~2');
  fails(await site.push(docs.token, 'a', `${three}:main`), /does not allow a merge of more than two commits/);
  works(await site.push(docs.token, 'a', `${await merge('main^{tree}', 'main', 'main~1')}:main`));
});

test('a merge does not carry a change to where a file was moved', async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  const scope = { access: 'write', repositories: ['a'], references: [{ allow: '**', paths: ['docs/'] }] };
  const docs = await site.token(scope);
  const git = (...args: string[]): Promise<void> => site.ok('-C', site.work, ...args);
  const lines = Array.from({ length: 30 }, (_, line) => `line ${line}\n`);
  mkdirSync(join(site.work, 'docs'));
  writeFileSync(join(site.work, 'docs/run'), lines.join(''));
  await site.commit('docs/other');
  await git('mv', 'docs/run', 'run');
  await site.commit('docs/other');
  works(await site.push(admin.token, 'a', 'main'));

  await git('checkout', '-q', '-b', 'old', 'main~1');
  writeFileSync(join(site.work, 'docs/run'), lines.with(7, 'other\n').join(''));
  await site.commit('docs/new');
  await git('checkout', '-q', 'main');
  await git('merge', '-q', '-m', 'merge', 'old');

  fails(await site.push(docs.token, 'a', 'main'), /does not allow to change "run"/);
});

test('the rules of the reference apply that a symbolic reference moves', async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  const references = [{ deny: 'refs/heads/main' }, { allow: 'refs/heads/**' }];
  const bot = await site.token({ access: 'write', repositories: ['a'], references });
  await site.commit('a');
  works(await site.push(admin.token, 'a', 'main', 'main:other'));
  const bare = join(site.gitaly.storagePath(), 'a.git');
  await site.ok('-C', bare, 'symbolic-ref', 'refs/heads/second', 'refs/heads/main');
  await site.ok('-C', bare, 'symbolic-ref', 'refs/heads/first', 'refs/heads/second');
  await site.ok('-C', bare, 'symbolic-ref', 'refs/heads/free', 'refs/heads/other');
  await site.ok('-C', bare, 'symbolic-ref', 'refs/heads/unborn', 'refs/tags/unborn');
  await site.commit('b');

  const denied = /refs\/heads\/main \(through refs\/heads\/first\): rule 1 of the token denies it/;
  fails(await site.push(bot.token, 'a', 'main:first'), denied);
  fails(await site.push(bot.token, 'a', ':first'), denied);
  fails(await site.push(bot.token, 'a', 'main:unborn'), /refs\/tags\/unborn .*: no rule of the token allows/);
  works(await site.push(bot.token, 'a', 'main:free'));
  fails(await site.push(bot.token, 'a', `main:${'x'.repeat(300)}`), /x: git cannot read it/);
});

test('over SSH a token is the password, with the same rules', { skip: NO_OPENSSH }, async () => {
  await using site = await Site.open();
  const admin = await site.token(ADMIN);
  await site.commit('a');
  works(await site.push(admin.token, 'a', 'main'));
  const scope = { access: 'write', repositories: ['a'], references: [{ deny: '**' }] };
  const { id, token } = await site.token(scope);
  const { directory, hostKeyPath, ssh: gateway } = site;
  const options = (await sshArguments({ directory, gateway, hostKeyPath })).map((option) =>
    option === 'BatchMode=yes' ? 'PreferredAuthentications=password' : option,
  );
  const askPass = join(directory, 'ask');
  const git = async (password: string, ...args: string[]): Promise<RunResult> => {
    writeFileSync(askPass, `#!/bin/sh\necho '${password}'\n`);
    chmodSync(askPass, 0o700);
    const env = {
      ...gitOverSsh([...options, '-o', 'NumberOfPasswordPrompts=1']),
      SSH_ASKPASS: askPass,
      SSH_ASKPASS_REQUIRE: 'force',
    };
    return await run('git', args, { env });
  };
  const url = (name: string): string => `${gateway.url}/${name}`;

  works(await git(token, 'ls-remote', url('a')));
  fails(await git(token, 'ls-remote', url('b')), /There is no such repository/);
  fails(await git(token, '-C', site.work, 'push', url('a'), 'HEAD:x'), /rule 1 of the token denies it/);
  works(await git(admin.token, '-C', site.work, 'push', '-q', url('new'), 'HEAD:main'));
  fails(await git('wrong', 'ls-remote', url('a')), /denied/);
  await site.store.revoke(id);
  fails(await git(token, 'ls-remote', url('a')), /denied/);
});

test('a push whose rules cannot be read is refused', async () => {
  await using site = await Site.open();
  const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'a' };
  await site.gitaly.connection.repository.createRepository({ repository });
  const metadata = { 'x-gitaly-reference-rules-bin': Buffer.from('[{"allow":"**","forc":false}]') };
  async function* requests() {
    yield { repository, glId: 'user-1' };
  }
  const call = site.gitaly.connection.smartHttp.postReceivePack(requests(), { metadata });
  await assert.rejects(Array.fromAsync(call), { code: 'INVALID_ARGUMENT', message: /unknown field "forc"/ });

  // A proxy that drops the metadata does not drop the rules.
  async function* requiringRules() {
    yield { repository, glId: 'user-1', gitConfigOptions: ['x-gitaly-reference-rules'] };
  }
  const without = site.gitaly.connection.smartHttp.postReceivePack(requiringRules());
  await assert.rejects(Array.fromAsync(without), {
    code: 'INVALID_ARGUMENT',
    message: /without the metadata/,
  });
});

test('no way to write a path leads to a repository that a token does not cover', async () => {
  await using site = await Site.open();
  const { repository } = site.gitaly.connection;
  for (const relativePath of ['team/app.git', 'Team/app.git', 'teamx/app.git', 'other/secret.git'])
    await repository.createRepository({ repository: { storageName: 'default', relativePath } });
  const { token } = await site.token({ access: 'read', repositories: ['team/**'] });
  const statusOf = async (path: string): Promise<number> => {
    const socket = connect(Number(new URL(site.http.url).port), '127.0.0.1');
    const query = 'info/refs?service=git-upload-pack';
    socket.write(
      `GET ${path}/${query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n` +
        'Connection: close\r\n\r\n',
    );
    const bytes = await Array.fromAsync(socket);
    return Number(Buffer.concat(bytes).toString('latin1', 'HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
  };

  assert.equal(await statusOf('/team/app.git'), 200);
  const secret = 'other/secret.git';
  for (const path of [
    ...[`/${secret}`, `//${secret}`, `/team/../${secret}`, `/team/./../${secret}`, `/team/%2e%2e/${secret}`],
    ...[
      `/team%2f..%2f${secret}`,
      `/team/%252e%252e/${secret}`,
      `/team/..%5c${secret}`,
      `/team/..;/${secret}`,
    ],
    ...[`/team/app.git/../../${secret}`, `/team/app.git%00/../../${secret}`, `/${secret}?/team/`],
    ...['/Team/app.git', '/TEAM/app.git', '/teamx/app.git', '/team//app.git', '/+gitaly/events'],
  ])
    assert.ok([400, 404].includes(await statusOf(path)), path);
});
