import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { basic, CONTENT, FILES, oidOf, openLfs, PATH } from './lfs-console.ts';

let site: Awaited<ReturnType<typeof openLfs>>;
before(async () => {
  site = await openLfs();
});
after(() => site[Symbol.asyncDispose]());

test('the files of Git LFS are listed, with those that the server has', async () => {
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
  const { console, headers } = site;

  const { text } = await console.get('/repositories', headers);
  const [, address = ''] = /<footer><a href="([^"]+)">API/.exec(text) ?? [];

  const document = await (await fetch(`${console.gateway.url}${address}`, { headers })).json();
  assert.match(Object(document).openapi, /^3\.1\./);
  const [, agents = ''] = /<a href="([^"]+)">for agents/.exec(text) ?? [];
  assert.equal((await fetch(`${console.gateway.url}${agents}`, { headers })).status, 200);
});
