import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, type TestContext, test } from 'node:test';
import { moduleOptions, programCommand } from '#testkit/programs/program-command';
import { writePackedRefs } from '#testkit/repositories/packed-refs';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { gitalyTs } from '../start-up.ts';
import { assertShortBlocks } from './assert-short-blocks.ts';
import { createRepository, type Files } from './fast-import.ts';

/**
 * Of the loop of `up`, which has the server, the gateway and the pages: 5 to 14 ms, twice that
 * while a machine is slow.
 */
const LIMIT_MS = 30;
const ENTRIES = 1000;
const REFERENCES = 20_000;
const RULES = 1000;
const PUSHED = 100;

suite('the event loop of up is not blocked', () => {
  const directory = makeScratchDirectory('up-blocks');
  const data = join(directory, 'data');
  let child: ChildProcess;
  let http = '';
  const up = {
    ask: async (message: object): Promise<unknown> => {
      child.send(message);
      const [answer] = await once(child, 'message');
      return answer;
    },
  };
  const assertTurns = (t: TestContext, call: (attempt: number) => Promise<unknown>): Promise<void> =>
    assertShortBlocks(t, up, call, LIMIT_MS);
  const pathOf = (name: string): string => join(data, 'repositories', `${name}.git`);
  const readPage = async (page: string): Promise<string> => {
    const response = await fetch(`${http}/-/console/repository/${page}`);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return text;
  };

  before(async () => {
    const preload = ['--import', join(import.meta.dirname, 'delay-monitor.ts')];
    const args = [...moduleOptions(), ...preload, ...programCommand('gitaly-ts'), 'up', data];
    child = spawn(process.execPath, [...args, '--http', '127.0.0.1:0', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const [line] = await once(child.stdout ?? child, 'data');
    http = JSON.parse(String(line)).http;
    // The modules of pages are loaded at the first one.
    await readPage('hello.git/-/files/');
    await readPage('hello.git/-/branches');
  });
  after(async () => {
    child.disconnect(); // It keeps the process.
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(directory, { recursive: true });
  });

  test('by the files of a large directory, with their last commits', async (t) => {
    await assertTurns(t, async (attempt) => {
      createRepository(pathOf(`files-${attempt}`), historyOf(ENTRIES));
      const text = await readPage(`files-${attempt}.git/-/files/`);
      assert.match(text, /file-9/);
    });
  });

  // Branches took 30 to 50 ms: the commits of all of them were read.
  for (const [kind, namespace] of [
    ['branches', 'heads'],
    ['tags', 'tags'],
  ])
    test(`by pages of many ${kind}`, async (t) => {
      let name = '';

      await assertTurns(t, async (attempt) => {
        name = `${kind}-${attempt}`;
        const { main = '' } = createRepository(pathOf(name), [{ name: 'main', files: { f: 'x' } }]);
        const lines = Array.from(
          { length: REFERENCES },
          (_, index) => `${main} refs/${namespace}/name-${index}`,
        );
        writePackedRefs(
          pathOf(name),
          [`${main} refs/heads/main`, ...lines].sort((a, b) => (a < b ? -1 : 1)),
        );
        assert.match(await readPage(`${name}.git/-/${kind}`), /name-\d+/);
      });
      await assertTurns(t, async () =>
        assert.match(await readPage(`${name}.git/-/${kind}?search=ME-${REFERENCES - 1}`), /name-19999/),
      );
      await assertTurns(t, async () =>
        assert.match(await readPage(`${name}.git/-/${kind}?skip=${REFERENCES - 100}`), /First page/),
      );
    });

  test('by a push of many branches to a repository with many rules', async (t) => {
    const work = join(directory, 'work');
    await runGit(['init', '-q', '-b', 'main', work]);
    await runGit(['-C', work, 'commit', '-q', '--allow-empty', '-m', 'First']);
    await runGit(['-C', work, 'push', '-q', `${http}/rules.git`, 'main']);
    const protectedReferences = Array.from({ length: RULES }, (_, index) => ({
      on: `refs/heads/**/closed-${index}-*`,
      create: [],
    }));
    const rules = join(directory, 'rules.json');
    writeFileSync(rules, JSON.stringify({ protected: protectedReferences }));
    const set = await gitalyTs(['repo', 'rules', 'rules', '--set', rules, '--to', data]);
    assert.equal(set.code, 0, set.stderr);

    await assertTurns(t, async (attempt) => {
      const branches = Array.from({ length: PUSHED }, (_, index) => `main:refs/heads/a/${attempt}-${index}`);
      await runGit(['-C', work, 'push', '-q', `${http}/rules.git`, ...branches]);
    });
    await assert.rejects(
      runGit(['-C', work, 'push', '-q', `${http}/rules.git`, `main:refs/heads/b/closed-${RULES - 1}-x`]),
      new RegExp(`rule ${RULES} of "protected"`),
    );
  });
});

/** Returns branches, each of which has changed some files of a directory since the one before. */
function historyOf(entries: number): { name: string; files: Files; from?: string }[] {
  const all = Array.from({ length: entries }, (_, index) => `file-${index}`);
  const files = (names: readonly string[], text: string): Files =>
    Object.fromEntries(names.map((name) => [name, text]));
  const later = Array.from({ length: 20 }, (_, index) => ({
    name: `step-${index}`,
    from: index === 0 ? 'start' : `step-${index - 1}`,
    files: files(all.slice(index * 40, index * 40 + 40), `changed ${index}`),
  }));
  return [
    { name: 'start', files: files(all, 'first') },
    ...later,
    { name: 'main', from: 'step-19', files: { 'README.md': '# Hello\n' } },
  ];
}
