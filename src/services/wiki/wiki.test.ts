import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initServed, referenceBackends } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import {
  WikiListPagesRequest_SortBy as ListedSortBy,
  WikiGetAllPagesRequest_SortBy as SortBy,
  type WikiCommitDetailsSchema,
  type WikiPage,
  type WikiUpdatePageRequestSchema,
} from '#wire/gen/wiki_pb';

const repository = { storageName: 'default', relativePath: 'wiki.git', glRepository: 'wiki-1' };
const commitDetails = {
  name: Buffer.from('Jane'),
  email: Buffer.from('jane@example.com'),
  message: Buffer.from('change a page'),
  userId: 7,
  userName: Buffer.from('jane'),
} satisfies MessageInitShape<typeof WikiCommitDetailsSchema>;

type Format = 'sha1' | 'sha256';

async function startWiki(options: { objectFormat?: Format; customHooks?: boolean } = {}): Promise<{
  gitaly: TestGitaly;
  path: string;
}> {
  const gitaly = await startGitaly(options.customHooks === true ? { customHooks: true } : {});
  const path = initServed(gitaly, 'wiki.git', { objectFormat: options.objectFormat ?? 'sha1' });
  return { gitaly, path };
}

/** Writes a page in messages of two bytes. */
async function write(
  gitaly: TestGitaly,
  name: string,
  content: string,
  format = 'markdown',
): Promise<string> {
  const head = { repository, name: Buffer.from(name), format, commitDetails };
  const response = await gitaly.connection.wiki.wikiWritePage([
    { ...head, content: Buffer.from(content.slice(0, 2)) },
    ...(content.slice(2).match(/.{1,2}/gs) ?? []).map((text) => ({ content: Buffer.from(text) })),
  ]);
  return Buffer.from(response.duplicateError).toString();
}

async function update(
  gitaly: TestGitaly,
  change: { pagePath: string; title: string; content: string; format?: string },
): Promise<string> {
  const { pagePath, title, content, format = 'markdown' } = change;
  const request: MessageInitShape<typeof WikiUpdatePageRequestSchema> = {
    ...{ repository, commitDetails, format, content: Buffer.from(content) },
    ...{ pagePath: Buffer.from(pagePath), title: Buffer.from(title) },
  };
  const response = await gitaly.connection.wiki.wikiUpdatePage([request]);
  return Buffer.from(response.error).toString();
}

interface FoundPage {
  readonly page: WikiPage;
  readonly text: string;
}

async function find(
  gitaly: TestGitaly,
  title: string,
  where: { directory?: string; revision?: string; skipContent?: boolean } = {},
): Promise<FoundPage | undefined> {
  const { directory = '', revision = '', skipContent = false } = where;
  const responses = await Array.fromAsync(
    gitaly.connection.wiki.wikiFindPage({
      ...{ repository, skipContent, title: Buffer.from(title) },
      ...{ directory: Buffer.from(directory), revision: Buffer.from(revision) },
    }),
  );
  const [page, ...texts] = responses.map((response) => response.page);
  if (page === undefined) return void assert.equal(responses.length, 1);
  assert.equal(page.rawData.length, 0);
  return { page, text: Buffer.concat(texts.map((text) => text?.rawData ?? Buffer.alloc(0))).toString() };
}

async function titles(
  gitaly: TestGitaly,
  order: { sort?: ListedSortBy; directionDesc?: boolean; limit?: number } = {},
): Promise<string[]> {
  const listed: string[] = [];
  for await (const { page } of gitaly.connection.wiki.wikiListPages({ repository, ...order }))
    listed.push(Buffer.from(page?.title ?? []).toString());
  return listed;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a page is written to an empty wiki and found again (${objectFormat})`, async () => {
    const { gitaly, path } = await startWiki({ objectFormat });
    await using _ = gitaly;

    assert.equal(await write(gitaly, 'Instálling/Step 133-b', 'one\r\ntwo\r\n'), '');

    const commit = gitOutput(path, ['rev-parse', 'refs/heads/main']);
    assert.equal(gitOutput(path, ['show', 'main:Instálling/Step-133-b.md']), 'one\ntwo');
    const people = 'Jane <jane@example.com>';
    assert.equal(
      gitOutput(path, ['log', '-1', '--format=%an <%ae>|%cn <%ce>|%B', 'main']),
      `${people}|${people}|change a page`,
    );
    for (const [title, directory] of [
      ['Instálling/Step 133-b', ''],
      ['step-133-B', 'Instálling'],
      ['INSTÁLLING/Step 133 b', '/'],
    ] as const) {
      const found = await find(gitaly, title, { directory });
      assert.ok(found, title);
      const { page, text } = found;
      assert.equal(text, 'one\ntwo\n');
      assert.equal(page.version?.commit?.id, commit);
      const { title: shown, path: file, name, urlPath, format, historical } = page;
      assert.deepEqual(
        [...[shown, file, name].map((bytes) => Buffer.from(bytes).toString()), urlPath, format, historical],
        ['Step 133 b', 'Instálling/Step-133-b.md', 'Step 133 b', 'Instálling/Step-133-b', 'markdown', false],
      );
    }
    assert.equal(await find(gitaly, 'Step 133-b'), undefined);
    assert.equal(await find(gitaly, 'Step 133-b', { directory: 'Installation' }), undefined);
    gitOutput(path, ['fsck', '--strict']);
  });
}

test('a name in use is reported in the words of gollum', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  await write(gitaly, 'Set Up', 'x', 'rdoc');
  await write(gitaly, 'foo/Set Up', 'x', 'rdoc');
  const before = gitOutput(path, ['rev-parse', 'main']);

  const root = 'Cannot write //Set-Up.rdoc, found //Set-Up.rdoc.';
  assert.equal(await write(gitaly, 'Set Up', 'y', 'rdoc'), root);
  const below = 'Cannot write foo/SET-Up.txt, found foo/Set-Up.rdoc.';
  assert.equal(await write(gitaly, 'foo/SET Up', 'y', 'txt'), below);
  await write(gitaly, 'Other', 'z');
  const change = { pagePath: 'Other', title: 'Set Up', content: '', format: 'rdoc' };
  assert.equal(await update(gitaly, change), root);
  assert.equal(gitOutput(path, ['rev-parse', 'main~1']), before);
});

test('an update changes the text in place, and moves the page to a new title or format', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  commitFiles(path, { 'Page.mkd': 'old', 'keep.png': 'p' });
  const files = (): string[] => gitOutput(path, ['ls-tree', '-r', '--name-only', 'main']).split('\n');

  assert.equal(await update(gitaly, { pagePath: '//Page', title: 'Page', content: 'new' }), '');
  assert.deepEqual(files(), ['Page.mkd', 'keep.png']);
  assert.equal(gitOutput(path, ['show', 'main:Page.mkd']), 'new');

  await update(gitaly, { pagePath: 'Page.mkd', title: 'page', content: 'rdoc', format: 'rdoc' });
  assert.deepEqual(files(), ['keep.png', 'page.rdoc']);

  await update(gitaly, { pagePath: 'page.rdoc', title: 'a/<b> c', content: 'moved' });
  assert.deepEqual(files(), ['a/<b>-c.md', 'keep.png']);
  assert.equal(gitOutput(path, ['show', 'main:a/<b>-c.md']), 'moved');
  assert.equal((await find(gitaly, 'a/-b--c'))?.page.urlPath, 'a/-b--c');

  await assert.rejects(update(gitaly, { pagePath: '//Gibaly', title: 'Page', content: '' }), {
    code: 'NOT_FOUND',
    message: '//Gibaly',
  });
});

test('an older revision is historical, an unknown one has no page', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  await write(gitaly, 'Home', 'first');
  const first = gitOutput(path, ['rev-parse', 'main']);
  await update(gitaly, { pagePath: 'Home', title: 'Home', content: 'second' });
  await write(gitaly, 'Later', '');

  const old = await find(gitaly, 'home', { revision: first });
  assert.deepEqual([old?.text, old?.page.historical, old?.page.version?.commit?.id], ['first', true, first]);
  assert.equal((await find(gitaly, 'home'))?.text, 'second');
  assert.equal((await find(gitaly, 'home', { skipContent: true }))?.text, '');
  assert.equal((await find(gitaly, 'later'))?.text, '');
  for (const revision of [first.replaceAll(/[0-9a-f]/g, '1'), 'nope', 'main^{tree}'])
    assert.equal(await find(gitaly, 'home', { revision }), undefined, revision);
  assert.equal(await find(gitaly, 'Later', { revision: first }), undefined);
});

test('pages are listed by path or by the time of their first commit', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  assert.deepEqual(await titles(gitaly), []);
  commitFiles(path, { '_sidebar.md': 's', 'image.png': 'i', 'no-extension': 'n' });
  for (const name of ['Page 2', 'Page 1', 'Page 3']) await write(gitaly, name, name);
  await update(gitaly, { pagePath: 'Page 1', title: 'Page 1', content: 'changed' });

  assert.deepEqual(await titles(gitaly), ['Page 1', 'Page 2', 'Page 3']);
  assert.deepEqual(await titles(gitaly, { directionDesc: true, limit: 2 }), ['Page 3', 'Page 2']);
  const sort = ListedSortBy.CREATED_AT;
  assert.deepEqual(await titles(gitaly, { sort }), ['Page 2', 'Page 1', 'Page 3']);
  assert.deepEqual(await titles(gitaly, { sort, limit: 1 }), ['Page 2']);
  assert.deepEqual(await titles(gitaly, { sort, directionDesc: true }), ['Page 3', 'Page 1', 'Page 2']);
  assert.equal((await find(gitaly, '_sidebar'))?.text, 's');
});

test('each page of WikiGetAllPages ends with a message of its own', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  const big = 'x'.repeat(300_000);
  commitFiles(path, { 'big.md': big, 'empty.org': '', 'latin1.txt': Buffer.from('f\xfcr', 'latin1') });

  const pages: [string, Buffer][] = [];
  let open: [string, Buffer] | undefined;
  const request = { repository, sort: SortBy.TITLE };
  for await (const { page, endOfPage } of gitaly.connection.wiki.wikiGetAllPages(request)) {
    if (endOfPage) {
      assert.equal(page, undefined);
      assert.ok(open);
      pages.push(open);
      open = undefined;
    } else if (open === undefined) {
      open = [Buffer.from(page?.path ?? []).toString(), Buffer.alloc(0)];
    } else {
      assert.ok(page !== undefined && page.rawData.length <= 131_072 && page.path.length === 0);
      open = [open[0], Buffer.concat([open[1], page.rawData])];
    }
  }

  assert.equal(open, undefined);
  assert.deepEqual(pages, [
    ['big.md', Buffer.from(big)],
    ['empty.org', Buffer.alloc(0)],
    ['latin1.txt', Buffer.from('f\xfcr', 'latin1')],
  ]);
});

test('a hook sees the user, and its refusal leaves the wiki as it was', async () => {
  const { gitaly, path } = await startWiki({ customHooks: true });
  await using _ = gitaly;
  await write(gitaly, 'Home', 'first');
  const before = gitOutput(path, ['rev-parse', 'main']);
  const directory = join(path, 'custom_hooks');
  mkdirSync(directory);
  const seen = join(gitaly.directory, 'seen');
  writeFileSync(
    join(directory, 'pre-receive'),
    `#!/bin/sh\necho "$GL_ID $GL_USERNAME" >${seen}\necho no >&2\nexit 1\n`,
  );
  chmodSync(join(directory, 'pre-receive'), 0o755);

  await assert.rejects(write(gitaly, 'Other', 'x'), {
    code: 'PERMISSION_DENIED',
    message: 'Hook failed: no\n',
  });

  assert.equal(readFileSync(seen, 'utf8'), 'user-7 jane\n');
  assert.equal(gitOutput(path, ['rev-parse', 'main']), before);
  assert.equal(gitOutput(path, ['count-objects']), '3 objects, 12 kilobytes');
});

test('titles and formats that lead elsewhere are refused', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  commitFiles(path, { file: 'f' });
  const before = gitOutput(path, ['rev-parse', 'main']);

  const invalid = { code: 'INVALID_ARGUMENT', message: 'invalid title or format' };
  for (const name of ['..', '../x', 'a/../../x', '/', '.', 'a\0b'])
    await assert.rejects(write(gitaly, name, ''), invalid, name);
  for (const format of ['../x', 'md/x', '--x', '1'])
    await assert.rejects(write(gitaly, 'x', '', format), invalid, format);
  const unusable = { code: 'FAILED_PRECONDITION', message: 'the page has an unusable path' };
  for (const name of ['.git/hooks', 'file/below'])
    await assert.rejects(write(gitaly, name, ''), unusable, name);
  assert.equal(gitOutput(path, ['rev-parse', 'main']), before);
});

test('empty fields are refused before the repository is looked at', async () => {
  await using gitaly = await startGitaly();
  const { wiki } = gitaly.connection;
  const text = Buffer.from('x');
  const target = { storageName: 'default', relativePath: 'missing.git' };
  const refused = (message: string) => ({ code: 'INVALID_ARGUMENT', message });

  const found = Array.fromAsync(wiki.wikiFindPage({ repository: target }));
  await assert.rejects(found, refused('WikiFindPage: empty Title'));
  const option = Array.fromAsync(
    wiki.wikiFindPage({ repository: target, title: text, revision: Buffer.from('--output=/x') }),
  );
  await assert.rejects(option, refused("WikiFindPage: revision can't start with '-'"));
  const complete = { name: text, format: 'markdown', commitDetails };
  for (const [fields, missing] of [
    [{ name: Buffer.alloc(0) }, 'Name'],
    [{ format: '' }, 'Format'],
    [{ commitDetails: undefined }, 'CommitDetails'],
    [{ commitDetails: { ...commitDetails, name: Buffer.alloc(0) } }, 'CommitDetails.Name'],
    [{ commitDetails: { ...commitDetails, email: Buffer.alloc(0) } }, 'CommitDetails.Email'],
    [{ commitDetails: { ...commitDetails, message: Buffer.alloc(0) } }, 'CommitDetails.Message'],
  ] as const) {
    const write = wiki.wikiWritePage([{ repository: target, ...complete, ...fields }]);
    await assert.rejects(write, refused(`WikiWritePage: empty ${missing}`));
  }
  const update = wiki.wikiUpdatePage([
    { repository: target, title: text, format: 'markdown', commitDetails },
  ]);
  await assert.rejects(update, refused('WikiUpdatePage: empty Page Path'));
  await assert.rejects(wiki.wikiWritePage([]), { code: 'INTERNAL', message: 'EOF' });
  await assert.rejects(wiki.wikiWritePage([{ repository: target, ...complete }]), { code: 'NOT_FOUND' });
});

test('two writers of one wiki: each page is committed, or its writer is told', async () => {
  const { gitaly, path } = await startWiki();
  await using _ = gitaly;
  await write(gitaly, 'Home', '');

  const names = Array.from({ length: 6 }, (_, index) => `Page ${index}`);
  const results = await Promise.allSettled(names.map((name) => write(gitaly, name, name)));

  const written = names.filter((_, index) => results[index]?.status === 'fulfilled');
  assert.ok(written.length > 0);
  assert.deepEqual((await titles(gitaly)).sort(), ['Home', ...written].sort());
  gitOutput(path, ['fsck', '--strict']);
});

if (referenceBackends().includes('reftable')) {
  test('a wiki with reftables is written and read', async () => {
    await using gitaly = await startGitaly();
    initServed(gitaly, 'wiki.git', { referenceBackend: 'reftable' });

    await write(gitaly, 'Home', 'text');

    assert.equal((await find(gitaly, 'Home'))?.text, 'text');
  });
}
