import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { assertShortBlocks } from './assert-short-blocks.ts';
import { createRepository, type Files } from './fast-import.ts';

/** Steps take 5 ms; splitting and comparing the largest file takes some more, and so does garbage. */
const LIMIT_MS = 20;
/** The most lines and bytes of a file that is compared in process. */
const LINES = 19_900;
const LINE = 'x \u00e9 y z v\n';
const MOVED_FILES = 95;

const numbered = (count: number, start: number): string =>
  Array.from({ length: count }, (_, line) => `line ${start + line} of a file\n`).join('');
const moved = (directory: string, start: number): Files =>
  Object.fromEntries(
    Array.from({ length: MOVED_FILES }, (_, index) => [
      `${directory}/${index}-${directory}`,
      numbered(250, start + index),
    ]),
  );

/** Both versions of a directory. */
const DIFFS: Readonly<Record<string, readonly [Files, Files]>> = {
  // Each line is compared with the rules of the driver, as letters and as spaces.
  'a search for the name of a function': [
    { 'f.cs': `${LINE.repeat(LINES)}1\n` },
    { 'f.cs': `${LINE.repeat(LINES)}2\n` },
  ],
  'changes of a large file': [
    { 'f.c': numbered(11_000, 0) },
    { 'f.c': numbered(11_000, 0).replaceAll(/7 of/g, '7 or') },
  ],
  'files that resemble each other': [moved('old', 0), moved('new', 40)],
};

suite('the event loop of a server is not blocked by diffs', async () => {
  const gitaly = await startGitalyProcess({ preload: join(import.meta.dirname, 'delay-monitor.ts') });
  after(() => gitaly[Symbol.asyncDispose]());
  const connection = await gitaly.connect();

  for (const [name, [before, now]] of Object.entries(DIFFS))
    test(`by ${name}`, async (t) => {
      const attributes = { '.gitattributes': '*.cs diff=csharp\n*.c diff=cpp\n' };

      await assertShortBlocks(
        t,
        gitaly,
        async (attempt) => {
          // The output is kept for each repository.
          const repository = { storageName: 'default', relativePath: `${name} ${attempt}.git` };
          const oids = createRepository(join(gitaly.directory, 'default', repository.relativePath), [
            { name: 'before', files: before },
            { name: 'main', files: { ...now, ...attributes } },
          ]);
          const sides = { leftCommitId: oids.before ?? '', rightCommitId: oids.main ?? '' };
          const diffs = await Array.fromAsync(connection.diff.commitDiff({ repository, ...sides }));
          assert.ok(diffs.length > 0);
        },
        LIMIT_MS,
      );
    });
});
