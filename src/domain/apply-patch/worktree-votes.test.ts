import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { calendarDate } from '#git/objects/write/format-ident';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { recordingHook } from '#testkit/repositories/votes-of-hook';
import { transactionHooks } from '../transactions/transaction-hooks.ts';
import { applyPatches, PatchFailedError } from './apply-patches.ts';

const { signal } = new AbortController();
const committer = {
  name: Buffer.from('Cal'),
  email: Buffer.from('c@x'),
  seconds: 1_700_000_000n,
  timezone: '+0000',
};

const text = (changed: Readonly<Record<number, string>> = {}): string =>
  Array.from({ length: 20 }, (_, index) => `${changed[index] ?? `line ${index}`}\n`).join('');

/** Commits of a file on a branch with their parents. `far` applies on `near` only by a merge. */
const COMMITS = [
  { branch: 'base', parent: undefined, content: text() },
  { branch: 'main', parent: 'base', content: text({ 5: 'near' }) },
  { branch: 'far', parent: 'base', content: text({ 3: 'far' }) },
  { branch: 'conflicting', parent: 'base', content: text({ 5: 'other' }) },
  { branch: 'last', parent: 'main', content: text({ 5: 'near', 19: 'last' }) },
] as const;

type Branch = (typeof COMMITS)[number]['branch'];

function importStream(): string {
  const data = (content: string): string => `data ${content.length}\n${content}\n`;
  return COMMITS.map(
    ({ branch, parent, content }, index) =>
      `commit refs/heads/${branch}\ncommitter Ann <a@x> ${1_600_000_000 + index} +0000\n` +
      `${data(`change ${branch}`)}${parent === undefined ? '' : `from refs/heads/${parent}\n`}` +
      `M 100644 inline a\n${data(content)}`,
  ).join('');
}

interface Mails {
  readonly fixture: StorageFixture;
  readonly path: string;
  readonly mails: string;
}

/** Returns the votes of git's hook while a copy of the repository gets a working tree and mails. */
function votesOfGit({ fixture, mails, path }: Mails): string[] {
  const copy = join(fixture.root, 'copy.git');
  cpSync(path, copy, { recursive: true });
  using hook = recordingHook(join(fixture.root, 'hook'));
  const worktree = join(fixture.root, 'worktree');
  const hooked = ['-c', `core.hooksPath=${hook.directory}`];
  fixture.runGit(copy, [...hooked, 'worktree', 'add', '--quiet', '--detach', worktree, 'main']);
  const env = {
    ...process.env,
    GIT_COMMITTER_NAME: committer.name.toString(),
    GIT_COMMITTER_EMAIL: committer.email.toString(),
    GIT_COMMITTER_DATE: calendarDate(committer),
  };
  spawnSync('git', ['-C', worktree, ...hooked, 'am', '--quiet', '--3way'], { env, input: mails });
  return hook.votes();
}

for (const { name, branches, votes: count, fails } of [
  { name: 'a patch that applies', branches: ['last'], votes: 10, fails: false },
  { name: 'a patch that needs a merge', branches: ['far'], votes: 10, fails: false },
  { name: 'patches after a merge', branches: ['far', 'last'], votes: 12, fails: false },
  { name: 'a patch that was applied before', branches: ['main', 'last'], votes: 10, fails: false },
  {
    name: 'a conflict after other patches',
    branches: ['last', 'far', 'conflicting'],
    votes: 12,
    fails: true,
  },
  { name: 'a conflict', branches: ['conflicting'], votes: 8, fails: true },
  { name: 'no mails', branches: [], votes: 8, fails: false },
] as const satisfies readonly { branches: readonly Branch[]; [key: string]: unknown }[])
  test(`votes on a working tree equal those of git's hook: ${name}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    fixture.runGit(repository.path, ['fast-import', '--quiet'], importStream());
    const mails = branches
      .map((each) => fixture.runGit(repository.path, ['format-patch', '-1', '--stdout', each]))
      .join('\n\n');
    const expected = votesOfGit({ fixture, path: repository.path, mails });
    const votes: string[] = [];
    const hooks = transactionHooks({
      vote: async (phase, hash) => void votes.push(`${phase} ${Buffer.from(hash).toString('hex')}`),
      onError: () => {},
    });
    const parentOid = fixture.runGit(repository.path, ['rev-parse', 'main']);
    async function* pieces() {
      yield Buffer.from(mails);
    }

    const applying = applyPatches(repository, { parentOid, mails: pieces(), committer, hooks, signal });

    if (fails) await assert.rejects(applying, PatchFailedError);
    else await applying;
    assert.ok(expected.length >= count, `${expected.length} votes of git`);
    assert.deepEqual(votes, expected);
  });

test('a lost vote on a working tree fails the call', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const parentOid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  for (const [lost, message] of [
    [3, 'adding worktree: exit status 128'],
    [7, 'apply patch: exit status 128, stderr: "fatal: ref updates aborted by hook\\n"'],
  ] as const) {
    let count = 0;
    const vote = async (): Promise<void> => {
      if (++count === lost) throw new Error('transaction was aborted');
    };
    const hooks = transactionHooks({ vote, onError: () => {} });
    async function* none(): AsyncGenerator<Buffer> {}

    await assert.rejects(applyPatches(repository, { parentOid, mails: none(), committer, hooks, signal }), {
      message,
    });
    assert.equal(count, lost);
  }
});
