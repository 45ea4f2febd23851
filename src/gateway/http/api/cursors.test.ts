import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startApi, type TestApi } from '#testkit/servers/start-api';

// Two names that are the same as text, the character U+FFFD itself, and others.
const NAMES = ['a', 'caf\xe8', 'caf\xe9', 'n', '\xef\xbf\xbd', '\xff'].map((name) =>
  Buffer.from(name, 'latin1'),
);

interface Named {
  readonly name: string;
  readonly nameBase64?: string;
  readonly path: string;
  readonly pathBase64?: string;
}

/** Returns the bytes of an item's name. */
function nameOf({ name, nameBase64, path, pathBase64 }: Named): string {
  const base64 = nameBase64 ?? pathBase64;
  return base64 === undefined ? Buffer.from(name ?? path).toString('latin1') : fromBase64(base64);
}

const fromBase64 = (text: string): string => Buffer.from(text, 'base64').toString('latin1');

/** Returns the names of all pages of a list. */
async function namesOf(api: TestApi, address: string, limit: number): Promise<string[]> {
  const names: string[] = [];
  let next = '';
  do {
    const page = await api.send('GET', `${address}&limit=${limit}${next}`);
    assert.equal(page.status, 200, page.bytes.toString());
    names.push(...page.json.items.map(nameOf));
    next = page.json.next === undefined ? '' : `&cursor=${page.json.next}`;
  } while (next !== '');
  return names;
}

// The second page was refused as a cursor of another server, or failed with 500.
test('lists continue behind names that are not UTF-8', async () => {
  await using api = await startApi();
  const { repository } = api;
  const blob = await repository.object('blob', 'x');
  const entries = NAMES.map((name) => Buffer.concat([Buffer.from(`100644 blob ${blob}\t`), name]));
  const list = Buffer.concat(entries.flatMap((entry) => [entry, Buffer.alloc(1)]));
  const tree = await repository.git(['mktree', '-z'], list);
  await repository.git([
    'update-ref',
    'refs/heads/strange',
    await repository.git(['commit-tree', '-m', 'x', tree]),
  ]);
  for (const name of NAMES)
    await repository.branch(Buffer.concat([Buffer.from('odd/'), name]), 'refs/heads/main');
  const files = NAMES.map((name) => name.toString('latin1'));
  const branches = files.map((name) => `refs/heads/odd/${name}`);

  for (const limit of [1, 2, 3, 100]) {
    assert.deepEqual(await namesOf(api, 'tree?revision=strange', limit), files, `files in pages of ${limit}`);
    const found = await namesOf(api, 'references?prefix=refs/heads/odd/', limit);
    assert.deepEqual(found, branches, `references in pages of ${limit}`);
  }
  for (const cursor of ['x', '1', '12345678 refs/heads/main', ' refs/heads/main', '-1 x']) {
    const encoded = Buffer.from(cursor).toString('base64url');
    const answer = await api.send('GET', `references?cursor=${encoded}`);
    assert.equal(answer.status, 400, cursor);
  }
});
