import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { type OpenedConsole, openConsole } from '../console/open-console.ts';
import { gitItems, makeOddRepository, type OddRepository, STATES } from './odd-repository.ts';

const LINK = /href="\/-\/console(\/repository\/[^"#]*)/g;
/** Paths that git finds in no revision, in an unsorted tree or for blame. */
const NOT_FOUND = /\/(?:files|blame)\/(?:(?:\.|\.\.|a\/b)(?:\/x)?|dir-x|dir\/x|g)\?/;
/** Share of the pages that the others link to. */
const SHARE = { short: 0.04, long: 1 };

suite('the console of a repository with every oddity', () => {
  for (const state of STATES)
    test(`has all pages with ${state}`, async () => {
      await using console = await openConsole();
      const odd = makeOddRepository(console.gitaly.storagePath(), state);
      const page = `/repository/${odd.relativePath}/-`;
      const views = ['files', 'commits', 'branches', 'tags', 'pushes', 'storage', 'search?q=one'];
      const links = new Set<string>();
      for (const view of views)
        await addLinks(console, `${page}/${view}?ref=main`.replace('one?', 'one&'), links);
      for (const name of odd.trees.keys()) await addLinks(console, filesOf(odd, `odd/tree-${name}`), links);
      for (const id of odd.commits.values()) links.add(`${page}/commit/${id}`);

      const share = state === STATES[0] ? SHARE : { ...SHARE, short: 0.02 };
      for (const link of seededShare([...links], share))
        if (/\/-\/(?:raw|archive)\b/.test(link)) await load(console, link, odd);
        else await addLinks(console, link, new Set());
    });

  test('lists what git lists', async () => {
    await using console = await openConsole();
    const odd = makeOddRepository(console.gitaly.storagePath(), STATES[0] ?? '');
    const page = `/repository/${odd.relativePath}/-`;
    const names = (items: readonly { name: string }[]): string[] => items.map(({ name }) => name).sort();
    const listed = (prefix: string): string[] =>
      gitItems(odd.path, ['for-each-ref', '--format=%(refname:lstrip=2)', prefix]).map(String).sort();

    const { branches } = await console.json(`${page}/branches`);
    const { tags } = await console.json(`${page}/tags`);
    const { commits } = await console.json(`${page}/commits?ref=main`);

    assert.deepEqual(names(branches), listed('refs/heads/'));
    assert.deepEqual(names(tags), listed('refs/tags/'));
    const expected = gitItems(odd.path, ['log', '--format=%H', 'main']).map(String);
    assert.deepEqual(commits.map(({ id }: { id: string }) => id).sort(), expected.sort());
    for (const name of odd.trees.keys()) {
      const { entries } = await console.json(filesOf(odd, `odd/tree-${name}`));
      const expected = gitItems(odd.path, ['ls-tree', '-z', '--name-only', `refs/heads/odd/tree-${name}`], 0);
      assert.deepEqual(
        entries.map(({ path }: { path: string }) => path).sort(),
        expected.map(String).sort(),
        name,
      );
    }
  });
});

function filesOf({ relativePath }: OddRepository, branch: string): string {
  return `/repository/${relativePath}/-/files?ref=${encodeURIComponent(`refs/heads/${branch}`)}`;
}

/** Requests a page and its JSON; adds the pages of repositories that it links to. */
async function addLinks(console: OpenedConsole, address: string, links: Set<string>): Promise<void> {
  const { status, text } = await console.get(address);
  const json = await console.get(address, { accept: 'application/json' });

  const expected = NOT_FOUND.test(address) ? /^(?:200|404)$/ : /^200$/;
  assert.match(String(status), expected, address);
  assert.equal(json.status, status, address);
  assert.equal(typeof JSON.parse(json.text), 'object', address);
  for (const [, link = ''] of text.matchAll(LINK)) links.add(link.replaceAll('&amp;', '&'));
}

/** Loads a file, or an archive, which is complete if git can make one of some files. */
async function load({ url }: OpenedConsole, address: string, { path }: OddRepository): Promise<void> {
  const response = await fetch(`${url}${address}`);
  const isComplete = await response.arrayBuffer().then(
    () => response.status === 200,
    () => false,
  );
  if (address.includes('/-/raw')) return assert.match(String(response.status), /^(?:200|404)$/, address);
  assert.match(String(response.status), /^(?:200|422)$/, address);
  const [, directory = ''] = /\/-\/archive\/?([^?]*)/.exec(address) ?? [];
  const revision = new URL(`${url}${address}`).searchParams.get('ref') ?? '';
  const tree = `${revision}${directory === '' ? '' : `:${decodeURIComponent(directory)}`}`;
  // The server's git does not follow replace references.
  const git = ['-C', path, '--no-replace-objects', 'archive', tree];
  const { status } = spawnSync('git', git, { stdio: 'ignore' });
  const isEmpty = gitItems(path, ['ls-tree', tree]).length === 0;
  assert.equal(isComplete, status === 0 && !isEmpty, address);
}
