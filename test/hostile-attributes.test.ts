import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'hostile.git' };
/** No name matches, and a backtracking matcher tries every way to split a name. */
const ATTRIBUTES = `${'*a'.repeat(200)}b linguist-vendored\n`.repeat(400);
const FILES = 300;
/** CPU time of this thread, which is also the server's, while the other client waits for a response. */
const ANSWER_LIMIT_MS = 300;

// While one client requested the languages of such a repository, all others waited for more than a
// minute.
test('extremely slow .gitattributes patterns end one call and delay no other', async (context) => {
  await using gitaly = await startGitaly();
  const path = initServed(gitaly, repository.relativePath);
  const blob = (content: string): string => gitOutput(path, ['hash-object', '-w', '--stdin'], content);
  const [attributes, file] = [blob(ATTRIBUTES), blob('int main;\n')];
  const entries = Array.from(
    { length: FILES },
    (_, index) => `100644 blob ${file}\t${'a'.repeat(240)}${index}.c\n`,
  );
  const tree = gitOutput(path, ['mktree'], `100644 blob ${attributes}\t.gitattributes\n${entries.join('')}`);
  const commit = gitOutput(path, ['commit-tree', '-m', 'hostile', tree]);
  gitOutput(path, ['update-ref', 'refs/heads/main', commit]);

  const counting = gitaly.connection.commit.commitLanguages(
    { repository, revision: Buffer.from('main') },
    { timeoutMs: 500_000 }, // a limit of CPU time ends it
  );
  counting.catch(() => {}); // awaited below
  let [isOver, answers, slowestMs] = [false, 0, 0];
  void counting
    .catch(() => {})
    .then(() => {
      isOver = true;
    });
  while (!isOver) {
    const before = process.threadCpuUsage();
    await gitaly.connection.commit.findCommit({ repository, revision: Buffer.from('main') });
    const { user, system } = process.threadCpuUsage(before);
    slowestMs = Math.max(slowestMs, (user + system) / 1000);
    answers += 1;
  }

  await assert.rejects(counting, {
    code: 'RESOURCE_EXHAUSTED',
    message: /the patterns of \.gitattributes take too long$/,
  });
  context.diagnostic(`${answers} answers, the slowest took ${Math.round(slowestMs)} ms of CPU time`);
  assert.ok(answers > 10, `${answers} answers`);
  assert.ok(slowestMs < ANSWER_LIMIT_MS, `an answer took ${Math.round(slowestMs)} ms of CPU time`);
});
