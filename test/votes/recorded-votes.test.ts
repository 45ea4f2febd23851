import assert from 'node:assert/strict';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { expectedVotes } from './differences.ts';
import { type CallVotes, takeVotes } from './take-votes.ts';
import { VOTING_CALLS } from './voting-calls.ts';

const RECORDED: { readonly calls: Readonly<Record<string, readonly string[]>> } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'recorded.json'), 'utf8'),
);
/** A line of git's trace when it starts a hook. */
const STARTED_HOOK =
  /run_command: .*\/(?:pre-receive|update|post-receive|proc-receive|reference-transaction)(?: |$)/;
/** Calls in which git changes references with a vote. */
const WITH_HOOKS = ['PostReceivePack of a new branch', 'PostReceivePack of several branches'];

suite('votes in calls that change references', () => {
  let taken: Readonly<Record<string, CallVotes>> = {};
  /** Calls in which git started hooks. */
  const withHooks: string[] = [];

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
          if (
            readFileSync(trace, 'utf8')
              .split('\n')
              .some((line) => STARTED_HOOK.test(line))
          )
            withHooks.push(name);
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

  test('git starts hooks only for pushes', () => {
    assert.deepEqual(withHooks, WITH_HOOKS);
  });
});
