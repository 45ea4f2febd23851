import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGit } from '#testkit/repositories/run-git';
import { type OpenedConsole, openConsole } from './open-console.ts';

const FEED = { events: { enabled: true } };
const PATH = '/repository/team/a.git/-/pushes';
const HOSTILE = `"><img/src=x/onerror=alert(1)>`;

interface Change {
  readonly kind: string;
  readonly reference: string | null;
  readonly old: string | null;
  readonly new: string | null;
  readonly time: string;
}

const referencesOf = ({ changes }: { readonly changes: readonly Change[] }) =>
  changes.filter(({ kind }) => kind === 'reference').map((each) => [each.reference, each.old, each.new]);

/** Clones the repository through the gateway of a console. */
async function clone({ gateway, gitaly }: OpenedConsole): Promise<(...args: string[]) => Promise<string>> {
  const directory = join(gitaly.storagePath(), '..', 'clone');
  await runGit(['clone', '-q', `${gateway.url}/team/a.git`, directory]);
  return (...args) => runGit(['-C', directory, ...args]);
}

test('pushes are listed as git made them, the latest first, those of others not', async () => {
  await using console = await openConsole({ config: FEED });
  const repository = await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 2 });
  await console.gitaly.createRepository({ relativePath: 'team/a.git2.git', commits: 1 });
  const main = await repository.git(['rev-parse', 'main']);
  const parent = await repository.git(['rev-parse', 'main~1']);
  const git = await clone(console);
  await git('push', '-q', 'origin', `${parent}:refs/heads/topic`);
  await git('push', '-q', 'origin', `${main}:refs/heads/topic`);
  await git('push', '-q', 'origin', ':refs/heads/topic');
  await git('push', '-q', 'origin', `${main}:refs/heads/${HOSTILE}`);

  const page = await console.json(PATH);
  assert.equal(page.hasFeed, true);
  assert.deepEqual(referencesOf(page).slice(0, 4), [
    [`refs/heads/${HOSTILE}`, null, main],
    ['refs/heads/topic', main, null],
    ['refs/heads/topic', parent, main],
    ['refs/heads/topic', null, parent],
  ]);
  const { text } = await console.get(PATH);
  assert.doesNotMatch(text, /<img/);
  assert.match(text, /refs\/heads\/&quot;&gt;&lt;img\/src=x/);
  assert.match(text, new RegExp(`/-/commit/${main}"><code>${main.slice(0, 10)}</code>`));
  assert.match(text, /aria-current="page">Pushes</);
});

test('many pushes to other repositories are passed over, and the list is bounded', async () => {
  await using console = await openConsole({ config: FEED });
  const repository = await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });
  const main = await repository.git(['rev-parse', 'main']);
  const git = await clone(console);
  const branches = Array.from({ length: 70 }, (_, index) => `${main}:refs/heads/b-${index}`);
  await git('push', '-q', 'origin', ...branches);

  const { changes } = await console.json(PATH);
  assert.equal(changes.length, 50);
  const sequences = changes.map(({ sequence }: { sequence: number }) => sequence);
  assert.deepEqual(
    sequences,
    sequences.toSorted((one: number, other: number) => other - one),
  );
});

test('without a change feed only the last change is known, and the page says so', async () => {
  await using console = await openConsole();
  await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });

  const page = await console.json(PATH);
  assert.deepEqual([page.hasFeed, page.changes], [false, []]);
  assert.ok(Date.now() - Date.parse(page.lastChange) < 60_000, page.lastChange);
  assert.match((await console.get(PATH)).text, /the server keeps no change feed/);
});
