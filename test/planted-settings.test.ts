import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git', glRepository: 'project-1' };

/** Settings of a repository with which git starts programs. */
const PROGRAMS = [
  'core.alternateRefsCommand',
  'core.fsmonitor',
  'core.sshCommand',
  'diff.external',
  'diff.x.command',
  'diff.x.textconv',
  'filter.x.clean',
  'filter.x.smudge',
  'merge.x.driver',
  'uploadpack.packObjectsHook',
];

const STREAM = `commit refs/heads/main
committer A <a@example.com> 1600000000 +0000
data 5
base
M 100644 inline file
data 4
one

commit refs/heads/ours
committer A <a@example.com> 1600000001 +0000
data 5
ours
from refs/heads/main
M 100644 inline file
data 4
two

commit refs/heads/theirs
committer A <a@example.com> 1600000002 +0000
data 7
theirs
from refs/heads/main
M 100644 inline file
data 6
three

done
`;

/** Makes a repository whose settings start programs that leave files in a directory. */
function plant(path: string, traces: string): void {
  initRepository(path);
  gitOutput(path, ['fast-import', '--quiet', '--done'], STREAM);
  for (const key of PROGRAMS) gitOutput(path, ['config', key, `touch ${traces}/${key}`]);
  const signer = join(traces, '../gpg');
  writeFileSync(signer, `#!/bin/sh\ntouch ${traces}/gpg\nexit 1\n`, { mode: 0o755 });
  const attributes = join(traces, '../attributes');
  writeFileSync(attributes, '* diff=x filter=x merge=x\n');
  const others = { 'gpg.program': signer, 'commit.gpgSign': 'true', 'core.attributesFile': attributes };
  for (const [key, value] of Object.entries(others)) gitOutput(path, ['config', key, value]);
}

test('the settings of a repository start no programs', async () => {
  await using gitaly = await startGitaly();
  const traces = join(gitaly.directory, 'traces');
  mkdirSync(traces);
  const path = join(gitaly.storagePath(), 'r.git');
  plant(path, traces);
  const [ours = '', theirs = ''] = ['ours', 'theirs'].map((name) => gitOutput(path, ['rev-parse', name]));
  const { conflicts, diff, operation } = gitaly.connection;
  const sides = { repository, leftCommitId: ours, rightCommitId: theirs };
  const branch = Buffer.from('ours');
  const patch = gitOutput(path, [
    '-c',
    'diff.external=',
    'format-patch',
    '--no-ext-diff',
    '--stdout',
    '-1',
    'theirs',
  ]);
  const calls: Readonly<Record<string, () => Promise<unknown>>> = {
    rawDiff: () => Array.fromAsync(diff.rawDiff(sides)),
    rawPatch: () => Array.fromAsync(diff.rawPatch(sides)),
    commitDiff: () => Array.fromAsync(diff.commitDiff(sides)),
    diffStats: () => Array.fromAsync(diff.diffStats(sides)),
    getPatchID: () =>
      diff.getPatchID({ repository, oldRevision: Buffer.from(ours), newRevision: Buffer.from(theirs) }),
    rangeDiff: () =>
      Array.fromAsync(
        diff.rawRangeDiff({
          repository,
          rangeSpec: { case: 'rangePair', value: { range1: 'main..ours', range2: 'main..theirs' } },
        }),
      ),
    listConflictFiles: () =>
      Array.fromAsync(
        conflicts.listConflictFiles({ repository, ourCommitOid: ours, theirCommitOid: theirs }),
      ),
    userApplyPatch: () =>
      operation.userApplyPatch([
        {
          userApplyPatchRequestPayload: {
            case: 'header',
            value: { repository, user: USER, targetBranch: Buffer.from('main') },
          },
        },
        { userApplyPatchRequestPayload: { case: 'patches', value: Buffer.from(`${patch}\n`) } },
      ]),
    userCherryPick: () =>
      operation.userCherryPick({
        repository,
        user: USER,
        commit: { id: theirs },
        branchName: branch,
        message: Buffer.from('m'),
      }),
  };

  for (const [name, call] of Object.entries(calls)) {
    // The pick ends in a conflict, which is no failure of the call.
    await call().catch((error: unknown) => {
      if (name !== 'userCherryPick') throw error;
    });
    assert.deepEqual(readdirSync(traces), [], name);
  }
});
