import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { randomHistory, seededRandom } from '#testkit/repositories/random-history';
import { startGitaly } from '#testkit/start-gitaly';
import { testSeed } from '#testkit/test-seed';
import type { FindLocalBranchesResponse } from '#wire/gen/ref_pb';
import type { CommitAuthor } from '#wire/gen/shared_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const COMMITS = 150;
const ROUNDS = 12;
/** More than are read one by one. */
const MANY = 130;
const FORMAT = [
  ...['refname', 'objectname', 'tree', 'parent', 'authorname', 'authoremail:trim', 'authordate:unix'],
  ...['committername', 'committeremail:trim', 'committerdate:unix', 'subject', 'contents'],
]
  .map((field) => `%(${field})`)
  .join('%00');

type Branch = NonNullable<FindLocalBranchesResponse['localBranches'][number]>;

/** Formats a branch as `FORMAT` does. */
function asGitShows({ name, targetCommit: commit }: Branch): string {
  const person = (one: CommitAuthor | undefined): string[] => [
    text(one?.name),
    text(one?.email),
    String(one?.date?.seconds),
  ];
  const objects = [commit?.id, commit?.treeId, commit?.parentIds.join(' ')];
  const people = [...person(commit?.author), ...person(commit?.committer)];
  const [subject, body] = [text(commit?.subject), text(commit?.body)];
  return [text(name), ...objects, ...people, subject, body, ''].join('\0');
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`branches that change between lists agree with git, ${objectFormat}`, async () => {
    await using gitaly = await startGitaly();
    const directory = initServed(gitaly, 'x.git', { objectFormat });
    const random = seededRandom(testSeed());
    const below = (limit: number): number => Math.floor(random() * limit);
    gitOutput(
      directory,
      ['fast-import', '--quiet', '--date-format=raw', '--done'],
      randomHistory(random, COMMITS),
    );
    const commits = gitOutput(directory, ['rev-list', '--all']).split('\n');
    // git shows a commit with such a message by rules that are left to it.
    const odd = gitOutput(directory, ['commit-tree', '-m', 'odd\n\n-----BEGIN x', 'main^{tree}']);
    const change = (count: number): void => {
      const lines = Array.from({ length: count }, () => {
        const name = `refs/heads/b${below(MANY)}`;
        return random() < 0.2 ? `delete ${name}\n` : `update ${name} ${commits[below(commits.length)]}\n`;
      });
      const last = new Map(lines.map((line) => [line.split(' ')[1]?.trim(), line]));
      gitOutput(directory, ['update-ref', '--stdin'], [...last.values()].join(''));
    };

    for (let round = 0; round < ROUNDS; round++) {
      change(round % 4 === 0 ? MANY : below(5));
      if (round % 5 === 4) gitOutput(directory, ['pack-refs', '--all']);
      if (round === ROUNDS - 2) gitOutput(directory, ['update-ref', 'refs/heads/b5-odd', odd]);
      const responses = await Array.fromAsync(gitaly.connection.ref.findLocalBranches({ repository }));

      const listed = responses.flatMap(({ localBranches }) => localBranches);
      const expected = gitOutput(directory, ['for-each-ref', `--format=${FORMAT}%00`, 'refs/heads']);
      assert.equal(listed.map(asGitShows).join('\n'), expected.trimEnd(), `round ${round}`);
      const old = responses.flatMap(({ branches }) => branches);
      assert.deepEqual(
        old.map(({ commit, commitId, commitSubject, name }) => [
          text(name),
          commitId,
          text(commitSubject),
          commit,
        ]),
        listed.map(({ name, targetCommit: commit }) => [
          text(name),
          commit?.id,
          text(commit?.subject),
          commit,
        ]),
      );
    }
  });
