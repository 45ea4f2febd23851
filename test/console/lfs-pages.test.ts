import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';
import { openConsole } from './open-console.ts';

const PATH = '/repository/team/a.git/-';
const CONTENT = Buffer.from('the film');
const FILES = 130;

const oidOf = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');
const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });

/** A repository with pointers, of which the server has one file. */
async function openLfs() {
  const directory = makeScratchDirectory('console-lfs');
  const authFile = join(directory, 'users');
  writeFileSync(
    authFile,
    `ann write sha256:${oidOf('secret')} team\nbob read sha256:${oidOf('other')} elsewhere\n`,
  );
  const lfs = pathToFileURL(join(directory, 'store')).href;
  const console = await openConsole({ authFile, lfs, hasApi: true });
  const repository = await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });
  const film = { oid: oidOf(CONTENT), size: CONTENT.length };
  const missing = Array.from({ length: FILES }, (_, index) => [
    `many/${String(index).padStart(3, '0')}`,
    lfsPointer({ oid: oidOf(`${index}`), size: index + 1 }),
  ]);
  await repository.commit({
    files: {
      ...Object.fromEntries(missing),
      'film.mp4': lfsPointer(film),
      'films/the same.mp4': lfsPointer(film),
      'text.txt': 'text\n',
    },
  });
  const stored = await fetch(`${console.gateway.url}/team/a.git/info/lfs/objects/${film.oid}`, {
    method: 'PUT',
    headers: basic('ann:secret'),
    body: CONTENT,
  });
  assert.equal(stored.status, 200, await stored.text());
  return {
    console,
    repository,
    film,
    headers: basic('ann:secret'),
    [Symbol.asyncDispose]: async () => {
      await console[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

test('the files of Git LFS are listed, with those that the server has', async () => {
  await using site = await openLfs();
  const { console, film, headers, repository } = site;

  const files: Record<string, unknown>[] = [];
  const lengths: number[] = [];
  let address: string | null = `${PATH}/lfs`;
  while (address !== null) {
    const page = await console.json(address, headers);
    files.push(...page.files);
    lengths.push(page.files.length);
    assert.equal(page.isComplete, true);
    address = page.next?.replace('/-/console', '') ?? null;
  }

  assert.deepEqual(lengths, [100, FILES + 2 - 100]);
  const inGit = (await repository.git(['ls-tree', '-r', '--name-only', '-z', 'main']))
    .split('\0')
    .filter((name) => /^(?:many|films?)[/.]/.test(name));
  assert.deepEqual(files.map(({ path }) => path).sort(), inGit.sort());
  for (const { bytes, isPresent, oid, path } of files) {
    const isFilm = oid === film.oid;
    const index = Number(String(path).slice('many/'.length));
    assert.deepEqual(
      [isPresent, bytes, oid],
      isFilm ? [true, film.size, film.oid] : [false, index + 1, oidOf(`${index}`)],
    );
  }
  const before = await console.json(`${PATH}/lfs?ref=main~1`, headers);
  assert.deepEqual(before.files, []);
});

test('the page of a pointer leads to its file, if the server has it', async () => {
  await using site = await openLfs();
  const { console, film, headers } = site;

  const { text } = await console.get(`${PATH}/files/film.mp4`, headers);
  const [, address = ''] = /<a href="([^"]*\/info\/lfs\/[^"]*)">Download</.exec(text) ?? [];
  const file = await fetch(`${console.gateway.url}${address}`, { headers });
  assert.deepEqual(Buffer.from(await file.arrayBuffer()), CONTENT);
  const { lfs } = await console.json(`${PATH}/files/film.mp4`, headers);
  assert.deepEqual(lfs, { oid: film.oid, bytes: film.size, isPresent: true });
  const missing = await console.get(`${PATH}/files/many/001`, headers);
  assert.match(missing.text, /The server does not have it\./);
  assert.doesNotMatch(missing.text, /info\/lfs/);
  for (const others of [basic('bob:other'), {}])
    assert.notEqual((await console.get(`${PATH}/lfs`, others)).status, 200);
});

test('pages lead to the description of the API', async () => {
  await using site = await openLfs();
  const { console, headers } = site;

  const { text } = await console.get('/repositories', headers);
  const [, address = ''] = /<footer><a href="([^"]+)">API/.exec(text) ?? [];

  const document = await (await fetch(`${console.gateway.url}${address}`, { headers })).json();
  assert.match(Object(document).openapi, /^3\.1\./);
  const [, agents = ''] = /<a href="([^"]+)">for agents/.exec(text) ?? [];
  assert.equal((await fetch(`${console.gateway.url}${agents}`, { headers })).status, 200);
});

test('the list of files of Git LFS is accessible in a browser', { skip: WITHOUT_CHROMIUM }, async () => {
  await using site = await openLfs();
  await using browser = await openBrowser();
  const httpCredentials = { username: 'ann', password: 'secret' };
  const problems: string[] = [];
  for (const view of [VIEWS.light, VIEWS.dark, VIEWS.narrow]) {
    await using shown = await browser.newContext({ ...view, httpCredentials });
    const page = await shown.newPage();
    for (const path of ['lfs', 'files/film.mp4']) {
      await page.goto(`${site.console.url}${PATH}/${path}`);
      problems.push(...(await layoutProblems(page, path)), ...(await axeViolations(page, path)));
    }
    await page.getByRole('link', { name: 'LFS', exact: true }).click();
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.getByRole('link', { name: 'many/129' }).waitFor();
  }
  assert.deepEqual(problems, []);
});
