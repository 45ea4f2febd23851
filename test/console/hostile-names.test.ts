import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type OpenedConsole, openConsole } from './open-console.ts';

/** Markup, a character that changes the reading direction, and one that nobody sees. */
const HOSTILE = `"><img src=x onerror=alert(1)>'\u202Egpj.\u200B`;
const REPOSITORY = `evil/${HOSTILE}.git`;
/** The part of it that git allows in the name of a reference. */
const REFERENCE = `"><img/src=x/onerror=alert(1)>'\u202Egpj\u200B`;
const FILE = `${HOSTILE}\n&amp;%2e%2e.md`;
const AUTHOR = `"'img onerror=alert(1) \u202E`;

describe('a repository whose names are hostile', () => {
  let console: OpenedConsole;
  let commit: string;
  const address = `/repository/${encodeURI(REPOSITORY).replaceAll("'", '%27')}/-`;
  const file = encodeURIComponent(FILE);
  const pages = [
    '/files',
    `/files/${file}`,
    `/files?ref=${encodeURIComponent(`refs/heads/${REFERENCE}`)}`,
    `/blame/${file}`,
    '/commits',
    `/commits/${file}`,
    '/commit/main',
    '/branches',
    '/tags',
    '/pushes',
    `/search?q=${encodeURIComponent('img')}`,
    '/storage',
  ];

  before(async () => {
    console = await openConsole({ config: { events: { enabled: true } } });
    const repository = await console.gitaly.createRepository({ relativePath: REPOSITORY });
    commit = await repository.commit({
      message: `${HOSTILE}\n\n${HOSTILE}`,
      author: { name: AUTHOR, email: 'x@example.com' },
      files: { [FILE]: `# ${HOSTILE}\n\n${HOSTILE}\n` },
    });
    await repository.git(['branch', REFERENCE]);
    await repository.git(['tag', '-m', HOSTILE, REFERENCE]);
    await console.gitaly.connection.repository.writeRef({
      repository,
      ref: Buffer.from(`refs/heads/${REFERENCE}-2`),
      revision: Buffer.from(commit),
    });
  });
  after(() => console[Symbol.asyncDispose]());

  for (const page of pages)
    test(`has the page ${page}, which shows them as text`, async () => {
      const { headers, status, text } = await console.get(`${address}${page}`);

      assert.equal(status, 200, text);
      assert.doesNotMatch(text, /<img(?! class="picture" src="\/-\/console\/)|[\u200B\u202E]/);
      // An attribute that begins with the text of a name has ended too early.
      assert.doesNotMatch(text, /="[^"]*"[^\s>/]/);
      assert.match(text, /⟨U\+202E⟩/, 'the character is shown');
      const policy = headers.get('content-security-policy') ?? '';
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';/);
      assert.equal(headers.get('content-type'), 'text/html; charset=utf-8');
    });

  test('has them unchanged in JSON, which no browser takes for a page', async () => {
    const of = (page: string) => console.json(`${address}${page}`);
    assert.equal((await of('/files')).entries[0].path, FILE);
    assert.equal((await of(`/files/${file}`)).text, `# ${HOSTILE}\n\n${HOSTILE}\n`);
    assert.deepEqual((await of('/branches')).branches.map(({ name }: { name: string }) => name).sort(), [
      REFERENCE,
      `${REFERENCE}-2`,
      'main',
    ]);
    assert.equal((await of('/tags')).tags[0].name, REFERENCE);
    assert.equal((await of('/commits')).commits[0].subject, HOSTILE);
    assert.equal((await of('/pushes')).changes[0].reference, `refs/heads/${REFERENCE}-2`);
    assert.equal((await of('/search?q=img')).matches[0].path, FILE);
    const { headers } = await console.get(`${address}/branches?format=json`);
    assert.equal(headers.get('content-type'), 'application/json; charset=utf-8');
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
  });

  test('has links that lead to its files, branches and commits', async () => {
    for (const page of ['/files', '/branches', '/tags', '/commits', '/pushes']) {
      const { text } = await console.get(`${address}${page}`);
      const main = text.slice(text.indexOf('class="tabs"'), text.indexOf('</main>'));
      const links = Array.from(main.matchAll(/<a href="([^"]+)"/g), ([, href = '']) =>
        href.replaceAll('&amp;', '&').replaceAll('&#39;', "'"),
      );
      assert.ok(links.length > 0, page);
      for (const href of links) assert.equal((await fetch(new URL(href, console.url))).status, 200, href);
    }
  });

  test('is found in the list, and its problems name nothing of it as markup', async () => {
    const { repositories } = await console.json(`/repositories?search=${encodeURIComponent('<IMG SRC')}`);
    assert.deepEqual(
      repositories.map(({ name }: { name: string }) => name),
      [REPOSITORY],
    );
    for (const page of [
      '/files/missing',
      '/commit/missing',
      `/files?ref=${encodeURIComponent(HOSTILE)}`,
      '/blame/x',
    ]) {
      const { status, text } = await console.get(`${address}${page}`);
      assert.equal(status, 404, page);
      assert.doesNotMatch(text, /<img(?! class="picture" src="\/-\/console\/)|[\u200B\u202E]/);
    }
  });
});
