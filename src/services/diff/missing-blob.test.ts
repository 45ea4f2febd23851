import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };

/** Creates commits `main~` and `main` that change `a`, `b` and `c`, without the new blob of one. */
function commitWithout(gitaly: TestGitaly, missing: string): void {
  const path = initServed(gitaly, repository.relativePath);
  const commit = (text: string): string =>
    [
      'commit refs/heads/main\ncommitter C <c@example.com> 1 +0000\ndata 0',
      ...['a', 'b', 'c'].map((name) => `M 100644 inline ${name}\ndata ${text.length + 2}\n${text} ${name}`),
      '',
    ].join('\n');
  gitOutput(
    path,
    ['-c', 'fastimport.unpackLimit=100', 'fast-import', '--quiet'],
    commit('old\n') + commit('new'),
  );
  const oid = gitOutput(path, ['rev-parse', `main:${missing}`]);
  rmSync(join(path, 'objects', oid.slice(0, 2), oid.slice(2)));
}

// Symptom, with git 2.43 or newer: the patch of the file before the missing blob ended in its last
// line, and without a patch before it the last file was not listed.
for (const [missing, shown] of [
  ['a', ''],
  ['b', 'a'],
  ['c', 'ab'],
] as const) {
  test(`CommitDiff returns all files and the patches before the missing blob of ${missing}`, async () => {
    await using gitaly = await startGitaly();
    commitWithout(gitaly, missing);
    const diffs: Record<string, string> = {};

    const read = async (): Promise<void> => {
      const sides = { repository, leftCommitId: 'main~', rightCommitId: 'main' };
      for await (const { toPath, rawPatchData } of gitaly.connection.diff.commitDiff(sides))
        diffs[toPath.toString()] = rawPatchData.toString();
    };

    await assert.rejects(read, { code: 'FAILED_PRECONDITION', message: 'eachDiff: exit status 128' });
    const noNewline = '\\ No newline at end of file\n';
    const patch = (name: string) => `@@ -1,2 +1 @@\n-old\n- ${name}\n${noNewline}+new ${name}\n${noNewline}`;
    const expected = ['a', 'b', 'c'].map((name) => [name, shown.includes(name) ? patch(name) : '']);
    assert.deepEqual(diffs, Object.fromEntries(expected));
  });
}
