import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initServed } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'x.git' };
const LINES = 20_000;

/** Creates a repository in which every tenth line of `file` is from a second commit. */
function withHistory(gitaly: TestGitaly, objectFormat: 'sha1' | 'sha256' = 'sha1'): string {
  const directory = initServed(gitaly, 'x.git', { objectFormat });
  const commits = [
    (line: number) => `line ${line}`,
    (line: number) => (line % 10 === 0 ? `changed ${line}` : `line ${line}`),
  ].map((text, index) => {
    const content = Array.from({ length: LINES }, (_, line) => `${text(line)}\n`).join('');
    return (
      `commit refs/heads/main\ncommitter C <c@x> ${index} +0000\ndata 1\n${index}\n` +
      `M 100644 inline file\ndata ${content.length}\n${content}\n`
    );
  });
  gitOutput(directory, ['fast-import', '--quiet'], commits.join(''));
  return directory;
}

async function blameText(messages: AsyncIterable<{ data: Uint8Array }>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of messages) {
    assert.ok(data.length > 0 && data.length <= 128 * 1024);
    chunks.push(data);
  }
  return Buffer.concat(chunks).toString();
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`RawBlame sends what git prints of a ${objectFormat} repository`, async () => {
    await using gitaly = await startGitaly();
    const directory = withHistory(gitaly, objectFormat);
    const blame = (range = '', ignoreRevisionsBlob = '') =>
      blameText(
        gitaly.connection.commit.rawBlame({
          repository,
          revision: Buffer.from('main'),
          path: Buffer.from('file'),
          range: Buffer.from(range),
          ignoreRevisionsBlob: Buffer.from(ignoreRevisionsBlob),
        }),
      );
    const ignored = gitOutput(
      directory,
      ['hash-object', '-w', '--stdin'],
      gitOutput(directory, ['rev-parse', 'main']),
    );

    const git = (...args: string[]) =>
      runGit(['blame', '-p', ...args, 'main', '--', 'file'], { cwd: directory });
    assert.equal(await blame(), `${await git()}\n`);
    assert.equal(await blame('5,25'), `${await git('-L', '5,25')}\n`);
    assert.equal(await blame('5,25', ignored), `${await git('-L', '5,25', '--ignore-rev', 'main')}\n`);
  });
}

test('RawBlame lets readers leave, and ends git', async () => {
  await using gitaly = await startGitaly();
  withHistory(gitaly);
  const request = { repository, revision: Buffer.from('main'), path: Buffer.from('file') };

  for await (const _ of gitaly.connection.commit.rawBlame(request)) break;
  const aborted = new AbortController();
  const left = blameText(gitaly.connection.commit.rawBlame(request, { signal: aborted.signal }));
  aborted.abort();

  await assert.rejects(left, { code: 'CANCELLED' });
});

// git's hint about info/grafts came first, and the call failed with INTERNAL.
test('RawBlame reports a missing path in a repository with grafts', async () => {
  await using gitaly = await startGitaly();
  const directory = withHistory(gitaly);
  mkdirSync(join(directory, 'info'));
  writeFileSync(join(directory, 'info/grafts'), `${gitOutput(directory, ['rev-parse', 'main'])}\n`);
  const request = { repository, revision: Buffer.from('main'), path: Buffer.from('missing') };

  await assert.rejects(blameText(gitaly.connection.commit.rawBlame(request)), {
    code: 'NOT_FOUND',
    message: 'path not found in revision',
  });
});
