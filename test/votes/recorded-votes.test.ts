import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { capabilitiesOf } from '#git/command/capabilities';
import { testedGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { expectedVotes } from './differences.ts';
import { type CallVotes, takeVotes } from './take-votes.ts';
import { VOTING_CALLS } from './voting-calls.ts';

const RECORDED: { readonly calls: Readonly<Record<string, readonly string[]>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'recorded.json'), 'utf8'),
);
/** The name of a hook in a line of git's trace when it starts the hook. */
const STARTED_HOOK =
  /run_command: .*\/(pre-receive|update|post-receive|proc-receive|reference-transaction)(?: |$)/;
/** Git starts a command with one of these characters by a shell. */
const STARTED_SHELL = /run_command: (?:unset [^;]*; )?(?:\S+=\S* )*'[^']*[|&;<>()$`\\"\s*?[#~=%].*/;
const CHANGE = ['reference-transaction', 'reference-transaction'];
/**
 * The only calls in which git starts hooks, each a process: one before the push, and two for each
 * transaction. One transaction deletes the packed reference; the others are one for each reference,
 * or since git 2.51 one for deletions and one for the rest.
 */
const STARTED: Readonly<Record<string, readonly string[]>> = {
  'PostReceivePack of a new branch': ['pre-receive', ...CHANGE],
  'PostReceivePack of several branches': [
    'pre-receive',
    ...Array.from({ length: capabilitiesOf(testedGit()).batchedPushes ? 3 : 4 }, () => CHANGE).flat(),
  ],
};

suite('votes in calls that change references', () => {
  let taken: Readonly<Record<string, CallVotes>> = {};
  const shells: string[] = [];
  /** The hooks that git started, by call. */
  const started: Record<string, string[]> = {};

  before(async () => {
    const directory = makeScratchDirectory('votes');
    const [program, trace] = [join(directory, 'git'), join(directory, 'trace')];
    writeFileSync(program, `#!/bin/sh\nGIT_TRACE='${trace}' exec git "$@"\n`);
    chmodSync(program, 0o755);
    try {
      await using gitaly = await startGitaly({ config: { git: { bin_path: program } } });
      taken = await takeVotes(gitaly.address, gitaly.storagePath(), {
        before: () => writeFileSync(trace, ''),
        after: (name) => {
          const lines = readFileSync(trace, 'utf8').split('\n');
          const hooks = lines.flatMap((line) => STARTED_HOOK.exec(line)?.[1] ?? []);
          if (hooks.length > 0) started[name] = hooks;
          shells.push(...lines.flatMap((line) => STARTED_SHELL.exec(line)?.[0] ?? []));
        },
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  for (const { name } of VOTING_CALLS)
    test(`${name}: number, order, phases and hashes equal those of a real Gitaly`, () => {
      assert.deepEqual(taken[name], { votes: expectedVotes(name, RECORDED.calls) });
    });

  test('git starts hooks only for pushes, and as few as the votes need', () => {
    assert.deepEqual(started, STARTED);
  });

  // Born failing: each push started one for core.alternateRefsCommand.
  test('git starts no shell', () => {
    assert.deepEqual(shells, []);
  });
});
