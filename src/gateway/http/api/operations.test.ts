import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { AccessRecord } from '#gateway/index';
import { API_REPOSITORY, startApi, type TestApi } from '#testkit/servers/start-api';
import { until } from '#testkit/until';

// The lines of git, and of an answer.
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '');
const LINES = { Accept: 'application/x-ndjson' };

async function expectStatus(api: TestApi, status: number, ...request: Parameters<TestApi['send']>) {
  const answer = await api.send(...request);
  assert.equal(answer.status, status, answer.bytes.toString());
  return answer;
}

test('references are listed, read, made, moved and removed as git sees them', async () => {
  await using api = await startApi();
  const { repository } = api;
  await repository.tag('v1', { message: 'One' });
  const rev = (name: string) => repository.git(['rev-parse', '--verify', name]);

  const all = await api.send('GET', 'references?limit=2');
  const rest = await api.send('GET', `references?cursor=${all.json.next}`);
  const names = [...all.json.items, ...rest.json.items].map(({ name, target }) => `${name} ${target}`);
  assert.deepEqual(names, lines(await repository.git(['for-each-ref', '--format=%(refname) %(objectname)'])));
  const streamed = await api.send('GET', 'references?prefix=refs/heads/', { headers: LINES });
  assert.equal(lines(streamed.bytes.toString()).length, 2);
  const tag = await expectStatus(api, 200, 'GET', 'references/refs/tags/v1');
  assert.deepEqual([tag.json.target, tag.json.peeled], [await rev('v1'), await rev('v1^{}')]);

  const body = { name: 'refs/heads/new', target: 'main~1' };
  await expectStatus(api, 201, 'POST', 'references', { body });
  assert.equal(await rev('new'), await rev('main~1'));
  const again = await expectStatus(api, 409, 'POST', 'references', { body });
  assert.match(again.json.type, /:reference-exists$/);
  await expectStatus(api, 201, 'POST', 'references', {
    body: { name: 'refs/tags/v2', target: 'main', message: 'Two' },
  });
  assert.equal(await repository.git(['cat-file', '-t', 'v2']), 'tag');

  await expectStatus(api, 428, 'PATCH', 'references/refs/heads/new', { body: { target: 'main' } });
  const wrong = { target: 'main', expected: await rev('topic') };
  const moved = await expectStatus(api, 409, 'PATCH', 'references/refs/heads/new', { body: wrong });
  assert.equal(moved.json.current, await rev('new'));
  const etag = { 'If-Match': `"${await rev('new')}"` };
  await expectStatus(api, 200, 'PATCH', 'references/refs/heads/new', {
    body: { target: 'main' },
    headers: etag,
  });
  assert.equal(await rev('new'), await rev('main'));

  await expectStatus(api, 409, 'DELETE', `references/refs/heads/new?expected=${await rev('topic')}`);
  await expectStatus(api, 422, 'DELETE', 'references/refs/heads/main');
  await expectStatus(api, 204, 'DELETE', 'references/refs/heads/new');
  await expectStatus(api, 204, 'DELETE', 'references/refs/tags/v1');
  await expectStatus(api, 404, 'GET', 'references/refs/heads/new');
  await expectStatus(api, 400, 'DELETE', 'references/refs/notes/x');
});

test('files are read with ranges, written in one commit, and listed', async () => {
  await using api = await startApi();
  const { repository } = api;
  const blob = await repository.git(['rev-parse', 'main:src/a.txt']);

  const whole = await expectStatus(api, 200, 'GET', 'files/src/a.txt?revision=main');
  assert.deepEqual(whole.bytes, await repository.gitBytes(['cat-file', 'blob', blob]));
  assert.equal(whole.headers.get('etag'), `"${blob}"`);
  const part = await expectStatus(api, 206, 'GET', 'files/src%2Fa.txt', { headers: { Range: 'bytes=4-6' } });
  assert.equal(part.bytes.toString(), 'two');
  await expectStatus(api, 304, 'GET', 'files/src/a.txt', { headers: { 'If-None-Match': `"${blob}"` } });
  await expectStatus(api, 404, 'GET', 'files/src');

  const big = Buffer.alloc(6 << 20, 'x');
  const target = 'files/big.bin?branch=main&message=Big';
  await expectStatus(api, 201, 'PUT', target, { bytes: big, headers: { 'If-None-Match': '*' } });
  assert.equal(await repository.git(['cat-file', '-s', 'main:big.bin']), String(big.length));
  const refused = await expectStatus(api, 412, 'PUT', target, {
    bytes: 'x',
    headers: { 'If-Match': `"${blob}"` },
  });
  assert.equal(refused.json.current, await repository.git(['rev-parse', 'main:big.bin']));

  const pages: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await expectStatus(
      api,
      200,
      'GET',
      `tree?recursive=true&limit=2${cursor === undefined ? '' : `&cursor=${cursor}`}`,
    );
    for (const { id, mode, path } of page.json.items) pages.push(`${mode} ${id}\t${path}`);
    cursor = page.json.next;
  } while (cursor !== undefined);
  const tree = lines(
    await repository.git(['ls-tree', '-r', '-t', '--format=%(objectmode) %(objectname)%x09%(path)', 'main']),
  );
  assert.deepEqual(pages.toSorted(), tree.toSorted());
});

// Each such request left a process of git behind, which waited for a reader until the server ended.
test('a request for the headers of a file or an archive ends its call', async () => {
  await using api = await startApi();
  await api.repository.commit({ files: { 'big.bin': 'x'.repeat(8 << 20) }, message: 'Big' });
  const isLogged = (method: string): boolean =>
    api.gitaly.log.some((line) => line['grpc.method'] === method && line['grpc.code'] !== undefined);

  const file = await expectStatus(api, 200, 'HEAD', 'files/big.bin');
  await expectStatus(api, 200, 'HEAD', 'archive?format=tar');

  assert.equal(file.headers.get('content-length'), String(8 << 20));
  await until(() => isLogged('TreeEntry'), 'the call for the file ends');
  await until(() => isLogged('GetArchive'), 'the call for the archive ends');
});

test('search, blame, comparison and archive agree with git', async () => {
  await using api = await startApi();
  const { repository } = api;

  const found = await expectStatus(api, 200, 'GET', 'search?text=THREE');
  assert.deepEqual(
    found.json.matches.map(({ line, path }: { line: number; path: string }) => [path, line]),
    [['src/a.txt', 1]],
  );
  const blamed = await expectStatus(api, 200, 'GET', 'blame/src/a.txt?revision=main&from=2');
  const porcelain = lines(
    await repository.git(['blame', '-s', '-l', '--abbrev=40', 'main', '--', 'src/a.txt']),
  );
  const ids = porcelain.slice(1).map((line) => line.replace('^', '').slice(0, 39));
  assert.deepEqual(
    blamed.json.lines.map(({ commit }: { commit: string }) => commit.slice(0, 39)),
    ids,
  );
  const compared = await expectStatus(api, 200, 'GET', 'compare?from=main&to=topic');
  const counts = await repository.git(['rev-list', '--left-right', '--count', 'main...topic']);
  assert.equal(`${compared.json.behind}\t${compared.json.ahead}`, counts);
  assert.deepEqual(
    compared.json.files.map(({ path }: { path: string }) => path),
    lines(await repository.git(['diff', '--name-only', 'main...topic'])),
  );
  const archive = await expectStatus(api, 200, 'GET', 'archive?revision=main&format=tar.gz');
  const tar = await repository.gitBytes([
    'archive',
    '--prefix=app/',
    await repository.git(['rev-parse', 'main']),
  ]);
  assert.deepEqual(gunzipSync(archive.bytes), tar);
});

test('branches are merged, rebased and patched; a conflict names its files and changes nothing', async () => {
  await using api = await startApi();
  const { repository } = api;
  await repository.branch('clash', 'main~1');
  await repository.commit({ branch: 'clash', files: { 'b.txt': 'other\n' } });
  await repository.branch('rebased', 'topic');
  const check = async (source: string) =>
    (await expectStatus(api, 200, 'GET', `merge-check?source=${source}&branch=main`)).json;

  assert.equal((await check('topic')).result, 'clean');
  assert.equal((await check('main~1')).result, 'merged');
  const { conflicts, result } = await check('clash');
  assert.deepEqual([result, conflicts], ['conflicts', ['b.txt']]);
  const before = await repository.git(['rev-parse', 'main']);
  const clash = { source: 'clash', branch: 'main', message: 'Merge' };
  const refused = await expectStatus(api, 409, 'POST', 'merges', { body: clash });
  assert.deepEqual(
    [refused.json.type, refused.json.files],
    ['urn:gitaly-ts:problem:merge-conflict', ['b.txt']],
  );
  assert.equal(await repository.git(['rev-parse', 'main']), before);

  const onMain = { branch: 'main', message: 'Change' };
  const merged = await expectStatus(api, 201, 'POST', 'merges', { body: { ...onMain, source: 'topic' } });
  assert.equal(
    await repository.git(['rev-parse', `${merged.json.id}^1`, `${merged.json.id}^2`]),
    `${before}\n${await repository.git(['rev-parse', 'topic'])}`,
  );
  const rebased = await expectStatus(api, 201, 'POST', 'rebases', {
    body: { branch: 'rebased', onto: 'clash' },
  });
  assert.equal(
    await repository.git(['merge-base', rebased.json.id, 'clash']),
    await repository.git(['rev-parse', 'clash']),
  );
  const reverted = await expectStatus(api, 201, 'POST', 'reverts', { body: { ...onMain, commit: 'main~1' } });
  assert.equal(await repository.git(['ls-tree', '--name-only', reverted.json.id, 'b.txt']), '');
  await expectStatus(api, 201, 'POST', 'cherry-picks', { body: { ...onMain, commit: before } });
  assert.equal(await repository.git(['cat-file', 'blob', 'main:b.txt']), 'main');
  const bytes = await repository.git(['format-patch', '--stdout', '-1', 'topic']);
  await expectStatus(api, 201, 'POST', 'patches?branch=clash', { bytes: `${bytes}\n` });
  assert.equal(await repository.git(['cat-file', 'blob', 'clash:d.txt']), 'd');
  const unusable = await expectStatus(api, 422, 'POST', 'patches?branch=clash', {
    bytes: 'this is no patch',
  });
  assert.match(unusable.json.detail, /no patch that git can apply/);
});

// Symptom: 500, as if the server had failed.
test('unrelated histories are merged, and neither rebased nor picked from their root', async () => {
  await using api = await startApi();
  const { repository } = api;
  const tree = await repository.git(['mktree'], '');
  const root = await repository.git(['commit-tree', '-m', 'root', tree]);
  await repository.git(['update-ref', 'refs/heads/unrelated', root]);
  const onMain = { branch: 'main', message: 'Change' };

  const check = await expectStatus(api, 200, 'GET', 'merge-check?source=unrelated&branch=main');
  assert.equal(check.json.result, 'clean');
  await expectStatus(api, 422, 'POST', 'rebases', { body: { branch: 'unrelated', onto: 'main' } });
  await expectStatus(api, 422, 'POST', 'rebases', { body: { branch: 'topic', onto: 'unrelated' } });
  await expectStatus(api, 422, 'POST', 'cherry-picks', { body: { ...onMain, commit: root } });
  await expectStatus(api, 422, 'POST', 'reverts', { body: { ...onMain, commit: root } });
  await expectStatus(api, 201, 'POST', 'merges', { body: { ...onMain, source: 'unrelated' } });
  assert.equal(await repository.git(['rev-parse', 'main^2']), root);
});

test('repositories are created, listed, forked, renamed and removed', async (context: TestContext) => {
  await using api = await startApi();
  const exists = async (relativePath: string): Promise<boolean> => {
    const repository = { storageName: 'default', relativePath };
    return (await api.gitaly.connection.repository.repositoryExists({ repository })).exists;
  };

  const body = { path: 'team/new', objectFormat: 'sha256', defaultBranch: 'trunk' };
  const made = await expectStatus(api, 201, 'POST', '/repositories', { body });
  assert.deepEqual(made.json, { path: 'team/new.git', defaultBranch: null, description: '' });
  await expectStatus(api, 409, 'POST', '/repositories', { body });
  const forked = await expectStatus(api, 201, 'POST', 'forks', {
    body: { path: 'a/fork', lifetimeSeconds: 3600 },
  });
  assert.equal(forked.json.defaultBranch, 'main');
  const fork = api.gitaly.openRepository({ storageName: 'default', relativePath: 'a/fork.git' });
  assert.equal(await fork.git(['rev-parse', 'main']), await api.repository.git(['rev-parse', 'main']));

  await context.test('in pages', async () => {
    const first = await expectStatus(api, 200, 'GET', '/repositories?limit=2');
    const second = await expectStatus(api, 200, 'GET', `/repositories?limit=2&cursor=${first.json.next}`);
    const paths = [...first.json.items, ...second.json.items].map(({ path }) => path);
    assert.deepEqual(paths, ['a/fork.git', 'team/app.git', 'team/new.git']);
    const team = await expectStatus(api, 200, 'GET', '/repositories?prefix=team/');
    assert.deepEqual(team.json.items, [{ path: 'team/app.git' }, { path: 'team/new.git' }]);
  });

  const lifetime = await expectStatus(api, 200, 'PUT', 'lifetime', { body: { seconds: 60 } });
  assert.ok(Math.abs(Date.parse(lifetime.json.expiresAt) - Date.now() - 60_000) < 30_000);
  const never = await expectStatus(api, 200, 'PUT', 'lifetime', { body: { seconds: null } });
  assert.equal(never.json.expiresAt, null);
  await expectStatus(api, 200, 'POST', 'rename', { body: { path: 'team/b' } });
  assert.deepEqual([await exists('team/app.git'), await exists('team/b.git')], [false, true]);
  await expectStatus(api, 204, 'DELETE', '/repositories/team%2Fb');
  assert.equal(await exists('team/b.git'), false);
  await expectStatus(api, 404, 'GET', API_REPOSITORY);
});

// Nobody could find out who had made a repository.
test('the access log has the user and the repository of operations that begin without one', async () => {
  const records: AccessRecord[] = [];
  await using api = await startApi({ onAccess: (record) => records.push(record) });

  await expectStatus(api, 201, 'POST', '/repositories', { body: { path: 'team/new' } });
  await api.callTool('create_repository', { path: 'team/other' });
  await expectStatus(api, 200, 'GET', '/repositories');

  assert.deepEqual(
    records.map(({ identity, repository }) => [identity?.username, repository]),
    [
      ['git', 'team/new.git'],
      ['git', 'team/other.git'],
      ['git', undefined],
    ],
  );
});

// A new repository hid it, with its history; its own address was 404.
test('a repository whose directory does not end in .git is read, and not hidden by a new one', async () => {
  await using api = await startApi();
  await api.gitaly.createRepository({ relativePath: 'team/plain', commits: 1 });
  const isThere = (name: string): boolean => existsSync(join(api.gitaly.storagePath(), 'team', name));
  const read = await expectStatus(api, 200, 'GET', '/repositories/team%2Fplain');
  assert.equal(read.json.defaultBranch, 'main');

  const body = { path: 'team/plain' };
  const made = await expectStatus(api, 409, 'POST', '/repositories', { body });
  assert.match(made.json.type, /:exists$/);
  await expectStatus(api, 409, 'POST', 'forks', { body });
  await expectStatus(api, 409, 'POST', 'rename', { body });
  await expectStatus(api, 409, 'POST', '/repositories/team%2Fplain/forks', { body });
  assert.equal(isThere('plain.git'), false);
  const renamed = await expectStatus(api, 200, 'POST', '/repositories/team%2Fplain/rename', { body });
  assert.equal(renamed.json.defaultBranch, 'main');
  assert.deepEqual([isThere('plain'), isThere('plain.git')], [false, true]);
});
