import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { addOddDates, detachHead } from '#testkit/repositories/generated/odd-repositories';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { openConsole } from './open-console.ts';

/** Strings that run in a page that inserts them somewhere without escaping. */
const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</title><svg onload=alert(1)>',
  '</pre></code><iframe srcdoc=x>',
].join(' ');
/**
 * Matches a page that contains such a string without escaping it. Pictures of the repository have a
 * class; those of a text would have none.
 */
const RUNS = /<(?:script>|img(?! class src alt(?: \/)?>)|svg(?! viewBox)|iframe)|<[^>]* on\w+=/;

test('the pages of a hostile repository show its texts and run none', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'evil.git' });
  const name = HOSTILE.replaceAll('/', '_');
  const commit = await repository.commit({
    message: `${HOSTILE}\n\n${HOSTILE}`,
    author: { name: HOSTILE.replace(/[<>]/g, '') || 'x', email: 'x@example.com' },
    files: {
      'README.md': `# ${HOSTILE}\n\n[x](javascript:alert(1)) ${HOSTILE}`,
      [`${name}.ts`]: `let a = '${HOSTILE}'; // ${HOSTILE}\n`,
      'plain.txt': HOSTILE,
      'picture.svg': '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
      'binary.bin': Buffer.from([0, 1, 2, 255]),
      'direction.txt': 'access\u202E level',
    },
  });
  await repository.git(['tag', '-m', HOSTILE, 'v1']);
  const path = '/repository/evil.git/-';
  const entries: { path: string }[] = (await console.json('/repository/evil.git')).entries;
  assert.equal(entries.length, 6);

  const pages = [
    '/overview',
    '/running',
    '/webhooks',
    `/repositories?search=${encodeURIComponent(HOSTILE)}`,
    `${path}/files`,
    `${path}/files?ref=${encodeURIComponent(HOSTILE)}`,
    `${path}/commits`,
    `${path}/commit/${commit}`,
    `${path}/branches`,
    `${path}/tags`,
    ...entries.map((entry) => `${path}/files/${encodeURIComponent(entry.path)}`),
  ];
  for (const address of pages) {
    const { headers, text } = await console.get(address);
    const own = text.replace(/<script type="module" src="[\w/.-]+">/, '');
    assert.doesNotMatch(own.replace(/="[^"]*"/g, ''), RUNS, address);
    assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self';/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.doesNotMatch(text, /(?:src|href)="(?:https?:)?\/\//, 'nothing of another host');
  }
  const shown = await console.get(`${path}/files/plain.txt`);
  assert.match(shown.text, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
  assert.match((await console.get(`${path}/files/direction.txt`)).text, /access⟨U\+202E⟩ level/);
  assert.match((await console.get(`${path}/files/binary.bin`)).text, /A binary file/);
});

test('the JSON of a page agrees with git', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a/b.git', commits: 60 });
  const git = (...args: string[]): Promise<string> => repository.git(args);
  await git('tag', '-m', 'first', 'v1', 'main~3');
  await git('branch', 'other', 'main~1');
  const path = '/repository/a/b.git/-';

  const commits = await console.json(`${path}/commits`);
  const older = await console.json(commits.next.replace('/-/console', ''));
  const ids = [...commits.commits, ...older.commits].map(({ id }: { id: string }) => id);
  assert.deepEqual(ids, (await git('log', '--format=%H', 'main')).split('\n'));
  assert.equal(older.next, null);

  const files = await console.json(`${path}/files?ref=refs/tags/v1`);
  assert.equal(files.commit, await git('rev-parse', 'v1^0'));
  assert.deepEqual(
    files.entries.map((entry: { path: string; oid: string }) => `${entry.oid}\t${entry.path}`),
    (await git('ls-tree', '--format=%(objectname)%x09%(path)', 'v1')).split('\n'),
  );
  const file = await console.json(`${path}/files/${files.entries[0].path}`);
  assert.equal(file.text.trimEnd(), await git('cat-file', 'blob', files.entries[0].oid));

  const commit = await console.json(`${path}/commit/${ids[0]}`);
  const patch = commit.files.map((each: { patch: string }) => each.patch).join('');
  const expected = await git('diff-tree', '-p', '--no-commit-id', ids[0] ?? '');
  assert.equal(patch.trimEnd(), expected.slice(expected.indexOf('@@')));
  const first = await console.json(`${path}/commit/${ids.at(-1)}`);
  assert.equal(first.files[0].linesRemoved, 0);

  const { branches } = await console.json(`${path}/branches`);
  assert.deepEqual(branches.map(({ name }: { name: string }) => name).sort(), ['main', 'other']);
  const { tags } = await console.json(`${path}/tags`);
  assert.deepEqual(
    tags.map((tag: { name: string; commit: string }) => [tag.name, tag.commit]),
    [['v1', await git('rev-parse', 'v1^0')]],
  );
});

test('names and contents need not be UTF-8, empty repositories have a page', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'bytes.git' });
  const latin = Buffer.from('caf\xe9', 'latin1');
  await repository.commit({ files: new Map([[latin, latin]]) });
  await console.gitaly.createRepository({ relativePath: 'empty.git' });

  const { text } = await console.get('/repository/bytes.git');
  assert.match(text, /href="\/-\/console\/repository\/bytes\.git\/-\/files\/caf%E9\?ref=main"/);
  assert.equal((await console.get('/repository/bytes.git/-/files/caf%E9')).status, 200);
  const empty = await console.get('/repository/empty.git');
  assert.equal(empty.status, 200);
  assert.match(empty.text, /git push -u origin main/);
});

test('repositories are listed in pages, and found by a part of their name', async () => {
  await using console = await openConsole();
  const names = Array.from({ length: 105 }, (_, number) => `group/r-${String(number).padStart(3, '0')}.git`);
  for (const relativePath of names) await console.gitaly.createRepository({ relativePath });

  const first = await console.json('/repositories');
  const second = await console.json(first.next.replace('/-/console', ''));
  const listed = [...first.repositories, ...second.repositories].map(({ name }: { name: string }) => name);
  assert.deepEqual(listed, names);
  assert.equal(second.next, null);
  const found = await console.json('/repositories?search=R-05');
  assert.deepEqual(
    found.repositories.map(({ name }: { name: string }) => name),
    names.filter((name) => name.includes('r-05')),
  );
});

test('who may not read a repository with git does not see it here', async (context) => {
  const directory = scratch(context);
  const authFile = join(directory, 'users');
  const token = 'a-token-of-ann';
  const digest = createHash('sha256').update(token).digest('hex');
  const admin = createHash('sha256').update('a-token-of-root').digest('hex');
  const lines = [`ann read sha256:${digest} team`, 'anonymous read - open', `root admin sha256:${admin}`];
  writeFileSync(authFile, `${lines.join('\n')}\n`);
  await using console = await openConsole({ authFile });
  for (const relativePath of ['open/a.git', 'team/b.git', 'secret/c.git'])
    await console.gitaly.createRepository({ relativePath, commits: 1 });
  const ann = { authorization: `Basic ${btoa(`ann:${token}`)}` };
  const listed = async (headers: Record<string, string>): Promise<string[]> =>
    (await console.json('/repositories', headers)).repositories.map(({ name }: { name: string }) => name);

  assert.deepEqual(await listed({}), ['open/a.git']);
  assert.deepEqual(await listed(ann), ['open/a.git', 'team/b.git']);
  assert.equal((await console.get('/repository/open/a.git')).status, 200);
  assert.equal((await console.get('/repository/team/b.git')).status, 401);
  assert.equal((await console.get('/repository/team/b.git', ann)).status, 200);
  const hidden = await console.get('/repository/secret/c.git', ann);
  const missing = await console.get('/repository/secret/missing.git', ann);
  assert.deepEqual([hidden.status, hidden.text], [404, missing.text]);
  assert.equal((await console.get('/running', ann)).status, 403);
  assert.equal((await console.get('/running')).status, 401);
  const { backups, lastHour, nodes, status } = await console.json('/overview', ann);
  assert.deepEqual([backups, lastHour, nodes, status], [undefined, undefined, undefined, undefined]);

  const root = { authorization: 'Bearer a-token-of-root' };
  assert.equal((await listed(root)).length, 3);
  for (const path of ['/running', '/slow', '/webhooks'])
    assert.deepEqual(
      [(await console.get(path, ann)).status, (await console.get(path, root)).status],
      [403, 200],
    );
  assert.equal((await console.json('/overview', root)).repositories, 3);
  const wrong = { authorization: 'Bearer a-token-of-nobody' };
  assert.equal((await console.get('/running', wrong)).status, 403);

  const signIn = await console.get('/sign-in');
  assert.deepEqual(
    [signIn.status, signIn.headers.get('www-authenticate')],
    [401, 'Basic realm="git", charset="UTF-8"'],
  );
  assert.equal((await console.get('/sign-in', ann)).headers.get('location'), '/-/console/repositories');
});

// It was listed, and every page of it was 404.
test('a repository whose directory does not end in .git has pages', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'dev/x', commits: 1 });

  const { repositories } = await console.json('/repositories');
  assert.deepEqual(
    repositories.map(({ name }: { name: string }) => name),
    ['dev/x'],
  );
  for (const page of ['', '/-/commits', '/-/branches', '/-/storage'])
    for (const name of ['dev/x', 'dev/x.git'])
      assert.equal((await console.get(`/repository/${name}${page}`)).status, 200, `${name}${page}`);
  assert.equal((await console.get('/repository/dev/y')).status, 404);
  // It is a path of its own, for which other rights may be checked.
  await console.gitaly.createRepository({ relativePath: 'dev/z.git', commits: 1 });
  assert.equal((await console.get('/repository/dev/z.git.git')).status, 404);
});

// Overview and Repositories were 401 for good, as only the first 1,000 were looked at.
test('a visitor sees the one repository that he may read, behind a thousand others', async (context) => {
  const authFile = join(scratch(context), 'users');
  writeFileSync(authFile, 'anonymous read - z\n');
  await using console = await openConsole({ authFile });
  const path = console.gitaly.storagePath();
  for (let number = 0; number < 1001; number++) {
    const repository = join(path, `a/${String(number).padStart(4, '0')}.git`);
    for (const directory of ['objects', 'refs']) mkdirSync(join(repository, directory), { recursive: true });
    writeFileSync(join(repository, 'HEAD'), 'ref: refs/heads/main\n');
  }
  assert.equal((await console.get('/overview')).status, 200, 'there is none yet, but he may read one');
  await console.gitaly.createRepository({ relativePath: 'z/one.git' });

  await until(async () => (await console.json('/repositories')).repositories.length > 0);
  const { next, repositories } = await console.json('/repositories');
  assert.deepEqual([repositories.map(({ name }: { name: string }) => name), next], [['z/one.git'], null]);
  assert.equal((await console.get('/overview')).status, 200);
});

// Symptom: without a password the overview of a server with users showed its versions and disks.
test('the pages of a server with users are for those who may sign in', async (context) => {
  const authFile = join(scratch(context), 'users');
  const digest = createHash('sha256').update('a-token-of-ann').digest('hex');
  writeFileSync(authFile, `ann read sha256:${digest} team\n`);
  await using console = await openConsole({ authFile });
  await console.gitaly.createRepository({ relativePath: 'secret/a.git' });
  const as = (token: string) => ({ authorization: `Basic ${btoa(`ann:${token}`)}` });

  for (const path of ['/overview', '/repositories', '/repositories?search=x', '/overview?format=json']) {
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await console.get(path, headers)).status;
    assert.equal(await status({}), 401, path);
    assert.equal(await status({ accept: 'text/event-stream' }), 401, path);
    assert.equal(await status(as('a-token-of-nobody')), 401, path);
    assert.equal(await status(as('a-token-of-ann')), 200, 'there is nothing that ann may read');
  }
});

test('a server without users asks nobody to sign in', async () => {
  await using console = await openConsole();

  const { headers, status } = await console.get('/sign-in');

  assert.deepEqual([status, headers.get('location')], [303, '/-/console/repositories']);
});

test('what is no page, or no request for one, is refused', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const path = '/repository/a.git/-';
  for (const [address, status] of [
    ['/nothing', 404],
    ['/assets/../console.ts', 404],
    ['/assets/style.css', 404],
    ['/repository/missing.git', 404],
    ['/repository/..%2Fa.git', 404],
    ['/repository/a.git%2F..%2F..%2Fetc.git', 404],
    [`${path}/files/missing`, 404],
    [`${path}/files/..%2F..%2Fconfig`, 404],
    [`${path}/files?ref=--output=/tmp/x`, 404],
    [`${path}/files?ref=missing`, 404],
    [`${path}/commit/-x`, 404],
    [`${path}/commit/${'f'.repeat(40)}`, 404],
    [`${path}/commits?skip=99999999999`, 200],
    [`/repositories?search=${'x'.repeat(9000)}`, 414],
  ] as const)
    assert.equal((await console.get(address)).status, status, address);

  const posted = await fetch(`${console.url}/overview`, { method: 'POST', body: 'x' });
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD']);
  const head = await fetch(`${console.url}/overview`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  const top = await fetch(console.gateway.url, { headers: { accept: 'text/html' }, redirect: 'manual' });
  assert.equal(top.headers.get('location'), '/-/console');
  assert.match(await (await fetch(console.gateway.url)).text(), /^This is a Git server\./);
});

test('the address of a clone leads browsers to the page of the repository', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'team/a b.git', commits: 1 });
  const address = `${console.gateway.url}/team/a%20b`;

  for (const url of [address, `${address}.git`]) {
    const page = await fetch(url, { headers: { accept: 'text/html' } });
    assert.equal(page.url, `${console.url}/repository/team/a%20b.git`);
    assert.match(await page.text(), /<h1>team\/a b<\/h1>/);
    const other = await fetch(url, { redirect: 'manual' });
    assert.deepEqual([other.status, /git clone/.test(await other.text())], [404, true]);
  }
});

test('the navigation has only the pages that its reader may open', async (context) => {
  const authFile = join(scratch(context), 'users');
  const lines = ['ann', 'admin'].map((name) => {
    const digest = createHash('sha256').update(`token of ${name}`).digest('hex');
    return `${name} ${name === 'ann' ? 'read' : 'admin'} sha256:${digest}\n`;
  });
  writeFileSync(authFile, lines.join(''));
  await using console = await openConsole({ authFile });
  const linksOf = async (name: string): Promise<(string | undefined)[]> => {
    const headers = { authorization: `Basic ${btoa(`${name}:token of ${name}`)}` };
    const { text } = await console.get('/repositories', headers);
    return [...text.matchAll(/<a href="\/-\/console\/(\w+)"/g)].map(([, page]) => page);
  };

  assert.deepEqual(await linksOf('ann'), ['overview', 'repositories', 'account']);
  const all = ['overview', 'repositories', 'running', 'slow', 'webhooks', 'account'];
  assert.deepEqual(await linksOf('admin'), all);
});

test('large files and changes are cut, and say so', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'large.git' });
  const commit = await repository.commit({
    files: { 'large.txt': 'a line of text\n'.repeat(100_000), 'large.md': '# a\n'.repeat(200_000) },
  });
  const path = '/repository/large.git/-';

  const file = await console.get(`${path}/files/large.txt`);
  assert.match(file.text, /Only the first 256\.0 KiB are shown/);
  assert.ok(file.text.length < 1_000_000);
  assert.equal((await console.get(`${path}/files/large.md`)).status, 200);
  const change = await console.get(`${path}/commit/${commit}`);
  assert.ok(change.text.length < 1_000_000, `${change.text.length}`);
});

function scratch(context: TestContext): string {
  const directory = makeScratchDirectory('console');
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

// Every page was 500.
test('a repository whose HEAD is detached has all pages', async () => {
  await using console = await openConsole();
  const { path } = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 2 });
  const id = detachHead(path);

  for (const page of ['', '/-/commits', '/-/branches', '/-/tags', '/-/search', '/-/storage', '/-/pushes'])
    assert.equal((await console.get(`/repository/a.git${page}`)).status, 200, page);
  assert.equal((await console.json('/repository/a.git/-/commits')).commits[0].id, id);
});

test('a branch and a tag whose dates git cannot read are listed', async () => {
  await using console = await openConsole();
  const { path } = await console.gitaly.createRepository({ relativePath: 'a.git', commits: 2 });
  addOddDates(path);

  const { branches } = await console.json('/repository/a.git/-/branches');
  assert.deepEqual(
    branches.map(({ date, name }: { date: string; name: string }) => [name, date > '2000']),
    [
      ['main', true],
      ['odd', false],
    ],
  );
  const { tags } = await console.json('/repository/a.git/-/tags');
  assert.deepEqual(
    tags.map(({ name }: { name: string }) => name),
    ['odd'],
  );
  for (const page of ['branches', 'tags', 'commits?ref=refs/heads/odd'])
    assert.equal((await console.get(`/repository/a.git/-/${page}`)).status, 200, page);
});
