import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { formatAuthLine } from '#gateway/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { quickPasswordHash } from '#testkit/values/quick-password-hash';
import { openConsole } from './open-console.ts';

const PATH = '/repository/a.git/-';
const HOSTILE = '<img src=x onerror=alert(1)> [a-z]+(.*)\\E $HOME';

test('blame agrees with git, line by line and over pages', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  const lines = Array.from({ length: 1500 }, (_, index) => `line ${index}`);
  await repository.commit({ message: 'one', files: { 'dir/a b.txt': `${lines.join('\n')}\n` } });
  lines[7] = HOSTILE;
  lines[1200] = 'changed';
  await repository.commit({
    message: `two ${HOSTILE}`,
    author: { name: 'Änn', email: 'ann@example.com' },
    files: { 'dir/a b.txt': `${lines.join('\n')}\n` },
  });

  const address = `${PATH}/blame/dir/a%20b.txt`;
  const first = await console.json(address);
  const second = await console.json(first.next.replace('/-/console', ''));
  const blamed = [...first.lines, ...second.lines].map(
    ({ commit, number, text }: { commit: string; number: number; text: string }) =>
      [commit, number, text].join(' '),
  );
  const expected = (await repository.git(['blame', '-s', '-l', '--root', 'main', '--', 'dir/a b.txt']))
    .split('\n')
    .map((line) => line.replace(/^(\w{40}) +(\d+)\) /, '$1 $2 '));
  assert.deepEqual(blamed, expected);
  assert.equal(second.next, null);

  const { text } = await console.get(address);
  assert.match(text, /Änn/);
  assert.match(text, /&lt;img src=x onerror=alert\(1\)&gt;/);
  assert.doesNotMatch(text, /<img/);
});

// The page of an empty file led to one that did not exist.
test('blame of an empty file has no lines', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  await repository.commit({ files: { empty: '' } });

  const { status, text } = await console.get(`${PATH}/blame/empty`);

  assert.equal(status, 200);
  assert.match(text, /The file has no lines to show/);
  assert.deepEqual((await console.json(`${PATH}/blame/empty`)).lines, []);
});

test('blame of what is no file is no page', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });

  for (const address of [`${PATH}/blame/none`, `${PATH}/blame`, `${PATH}/blame/none?from=999999999`])
    assert.equal((await console.get(address)).status, 404, address);
});

test('search finds a text as it is, in the chosen revision', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  await repository.commit({
    message: 'one',
    files: { 'x.txt': `before\n${HOSTILE}\nafter\n`, 'y/z.md': 'nothing\n', 'b.bin': Buffer.from([0, 1]) },
  });
  await repository.git(['branch', 'old']);
  await repository.commit({ message: 'two', files: { 'x.txt': 'replaced\n' } });
  const search = (query: string, ref = 'old') =>
    console.json(`${PATH}/search?${new URLSearchParams({ ref, q: query })}`);

  const { isCut, matches } = await search(HOSTILE.toUpperCase());
  assert.deepEqual(matches, [{ path: 'x.txt', firstLine: 1, lines: ['before', HOSTILE, 'after'] }]);
  assert.equal(isCut, false);
  assert.deepEqual((await search(HOSTILE, 'main')).matches, []);
  assert.deepEqual((await search('.*', 'main')).matches, []);
  const { text } = await console.get(`${PATH}/search?${new URLSearchParams({ ref: 'old', q: HOSTILE })}`);
  assert.doesNotMatch(text, /<img/);
  assert.match(text, /&lt;img src=x/);
});

// They were 500, and commits of dependabot[bot] were not found.
test('texts and paths that git cannot take, or reads as expressions, are no failure', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  const bot = { name: 'dependabot[bot]', email: 'bot@example.com' };
  await repository.commit({ files: { 'a.txt': 'one\n' }, message: 'Start', author: bot });
  const statusOf = async (page: string): Promise<number> =>
    (await console.get(`/repository/a.git/-/${page}`)).status;
  const countOf = async (author: string): Promise<number> =>
    (await console.json(`/repository/a.git/-/commits?author=${encodeURIComponent(author)}`)).commits.length;

  assert.deepEqual([await countOf('dependabot[bot]'), await countOf('\\('), await countOf('\0')], [1, 0, 1]);
  assert.equal(await statusOf('search?q=%00'), 200);
  for (const view of ['files', 'commits', 'blame', 'raw'])
    assert.equal(await statusOf(`${view}/%00`), 404, view);
  for (const page of ['files?ref=@{u}', 'commit/@{push}', 'compare/main...main@{Upstream}'])
    assert.equal(await statusOf(page), 404, page);
});

test('a search with many places or long lines is cut', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  const files = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`${index}.txt`, 'needle\n']));
  await repository.commit({ message: 'one', files: { ...files, 'long.txt': `${'x'.repeat(600_000)}pin\n` } });

  const many = await console.json(`${PATH}/search?q=needle`);
  assert.deepEqual([many.matches.length, many.isCut], [50, true]);
  const long = await console.json(`${PATH}/search?q=xpin`);
  assert.ok(JSON.stringify(long).length < 10_000);
});

test('storage shows what git counts, and maintenance repacks', async () => {
  await using console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'a.git' });
  for (let number = 0; number < 3; number++)
    await repository.commit({ message: `${number}`, files: { a: `${number}` } });
  await repository.git(['gc', '-q']);
  const blobs = Array.from({ length: 1200 }, (_, index) => `${index}`);
  for (const blob of blobs.slice(0, 3)) await repository.git(['hash-object', '-w', '--stdin'], blob);
  const counted = await repository.git(['count-objects', '-v']);
  const { objects } = await console.json(`${PATH}/storage`);
  assert.equal(objects.loose, Number(/^count: (\d+)/m.exec(counted)?.[1]));
  assert.equal(objects.packfiles, Number(/^packs: (\d+)/m.exec(counted)?.[1]));

  const response = await fetch(`${console.url}${PATH}/storage`, { method: 'POST', redirect: 'manual' });
  assert.equal(response.status, 303);
  assert.equal(response.headers.get('location'), `/-/console${PATH}/storage?maintained=1`);
  assert.match(
    (await console.get(`${PATH}/storage?maintained=1`)).text,
    /role="status">The maintenance has run/,
  );
  const { objects: after } = await console.json(`${PATH}/storage`);
  assert.ok(after.packfiles >= 1);
});

test('only pages of the console change something', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const { text } = await console.get(`${PATH}/storage`);
  const form = /action="\/-\/console([^"]+)"/.exec(text)?.[1] ?? '';
  const post = async (headers: Record<string, string>, path = form): Promise<number> =>
    (await fetch(`${console.url}${path}`, { method: 'POST', redirect: 'manual', headers })).status;
  const origin = new URL(console.url).origin;

  assert.equal(await post({ Origin: origin }), 303);
  assert.equal(await post({ Origin: origin, 'Sec-Fetch-Site': 'same-origin' }), 303);
  assert.equal(await post({ Origin: 'http://evil.example' }), 403);
  assert.equal(await post({ Origin: 'null' }), 403);
  assert.equal(await post({ Origin: origin.replace('127.0.0.1', 'localhost') }), 403);
  assert.equal(await post({ 'Sec-Fetch-Site': 'cross-site' }), 403);
  const query = form.slice(form.indexOf('?'));
  assert.equal(await post({ Origin: origin }, `${PATH}/files${query}`), 405);
  assert.equal(await post({ Origin: origin }, `/overview${query}`), 405);
});

test('a form needs the token of its page, which belongs to its credentials', async (context) => {
  const authFile = await usersFile(context);
  await using console = await openConsole({ authFile });
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const origin = new URL(console.url).origin;
  const as = (name: string) => ({ Authorization: `Basic ${btoa(`${name}:word`)}` });
  const formOf = async (name: string): Promise<string> =>
    /<form method="post" action="([^"]+)"/.exec((await console.get(`${PATH}/storage`, as(name))).text)?.[1] ??
    '';
  const post = async (form: string, headers: Record<string, string>): Promise<number> => {
    const address = new URL(form, origin);
    return (await fetch(address, { method: 'POST', redirect: 'manual', headers })).status;
  };
  const form = await formOf('writer');
  const other = await formOf('maintainer');

  assert.notEqual(form, other);
  for (const headers of [{ Origin: origin }, { 'Sec-Fetch-Site': 'same-origin' }]) {
    const own = { ...as('writer'), ...headers };
    assert.equal(await post(form, own), 303);
    assert.equal(await post(other, own), 403, 'of another user');
    assert.equal(await post(form.replace(/token=.*/, ''), own), 403, 'none');
    assert.equal(await post(form.replace(/token=.*/, 'token=%C3%A4'), own), 403);
    assert.equal(await post(`${form}&token=x`, own), 303, 'the first one counts');
  }
});

test('maintenance is for those who may push', async (context) => {
  const authFile = await usersFile(context);
  await using console = await openConsole({ authFile });
  await console.gitaly.createRepository({ relativePath: 'a.git', commits: 1 });
  const as = (name: string) => ({ Authorization: `Basic ${Buffer.from(`${name}:word`).toString('base64')}` });
  const post = async (name: string): Promise<number> => {
    const address = `${console.url}${PATH}/storage`;
    return (await fetch(address, { method: 'POST', redirect: 'manual', headers: as(name) })).status;
  };

  assert.doesNotMatch((await console.get(`${PATH}/storage`, as('reader'))).text, /<form method="post"/);
  assert.match((await console.get(`${PATH}/storage`, as('writer'))).text, /<form method="post"/);
  assert.equal(await post('reader'), 403);
  assert.equal(await post('writer'), 303);
  assert.equal(await post('nobody'), 401);
});

async function usersFile(context: TestContext): Promise<string> {
  const directory = makeScratchDirectory('console');
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'users');
  const hash = quickPasswordHash('word');
  const lines = [
    formatAuthLine('reader', 'read', hash, []),
    formatAuthLine('writer', 'write', hash, []),
    formatAuthLine('maintainer', 'write', quickPasswordHash('word'), []),
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}
