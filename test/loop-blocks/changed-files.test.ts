import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { assertShortBlocks } from './assert-short-blocks.ts';

/** Steps take 5 ms, and encoding a message of a megabyte 10; the rest is for the garbage collector. */
const LIMIT_MS = 25;
/** All of them change. Their directory does not count for languages, so that none is read. */
const FILES = 100_000;

suite('the event loop of a server is not blocked by changed files', async () => {
  const gitaly = await startGitalyProcess({ preload: join(import.meta.dirname, 'delay-monitor.ts') });
  after(() => gitaly[Symbol.asyncDispose]());
  const connection = await gitaly.connect();

  const repository = { storageName: 'default', relativePath: 'changed.git' };
  const path = join(gitaly.directory, 'default', repository.relativePath);
  initRepository(path);
  const commitOf = (content: string): string => {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], content);
    const lines = Array.from({ length: FILES }, (_, index) => `100644 blob ${blob}\tfile-${index}.js\n`);
    const files = gitOutput(path, ['mktree'], lines.join(''));
    const root = gitOutput(path, ['mktree'], `040000 tree ${files}\tvendor\n`);
    return gitOutput(path, ['commit-tree', root, '-m', 'x']);
  };
  const [before, now] = [commitOf('old'), commitOf('new')];

  /** Calls that list the files, with the number that each has listed. */
  const calls: Readonly<Record<string, (attempt: number) => Promise<number>>> = {
    // It took 35 to 100 ms.
    FindChangedPaths: async () => {
      const value = { commitRevision: now, parentCommitRevisions: [before] };
      const requests = [{ type: { case: 'commitRequest' as const, value } }];
      const answers = await Array.fromAsync(connection.diff.findChangedPaths({ repository, requests }));
      return answers.reduce((sum, { paths }) => sum + paths.length, 0);
    },
    // It took 130 to 200 ms, because the pipe from git delivered megabytes in one iteration.
    CommitLanguages: async (attempt) => {
      const revision = Buffer.from(attempt % 2 === 0 ? now : before);
      const { languages } = await connection.commit.commitLanguages({ repository, revision });
      return FILES + languages.length;
    },
  };
  await calls.CommitLanguages?.(1); // it counts from there on

  for (const [name, call] of Object.entries(calls))
    test(`that ${name} lists`, async (t) => {
      await assertShortBlocks(
        t,
        gitaly,
        async (attempt) => assert.equal(await call(attempt), FILES),
        LIMIT_MS,
      );
    });
});
