import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { flag, gitCommand } from './command/git-command.ts';
import { RefTransaction } from './refs/update/ref-transaction.ts';

const REV_LIST = gitCommand('rev-list', { options: [flag('--all')] });

/** Work within a call, whose signal lives longer than each piece of it. */
const WORK: Readonly<Record<string, (repository: Repository, signal: AbortSignal) => Promise<unknown>>> = {
  'a git command': (repository, signal) => repository.run(REV_LIST, { signal }),
  'a git command that fails': (repository, signal) =>
    repository.run(gitCommand('rev-list', { revisions: ['missing'] }), { signal }).catch(() => {}),
  'a process that is ended': async (repository, signal) => {
    await using _ = repository.spawn(REV_LIST, { signal });
  },
  'a lookup of an object': (repository, signal) => repository.objects.info('main', { signal }),
  'a lookup of a commit': (repository, signal) => repository.objects.readCommit('main', { signal }),
  'a lookup that is difficult for git': (repository, signal) =>
    repository.objects.info('main@{0}', { signal }).catch(() => {}),
  'an object that is streamed': async (repository, signal) => {
    const found = await repository.objects.openObject('big', { signal });
    assert.equal(found && (await buffer(found.stream)).length, 600_000);
  },
  'a change of a reference': async (repository, signal) => {
    await using transaction = await RefTransaction.start(repository, { signal });
    await transaction.update('refs/heads/new', {
      newOid: (await repository.objects.info('main'))?.oid ?? '',
    });
    await transaction.commit();
  },
  'a change that is taken back': async (repository, signal) => {
    await using transaction = await RefTransaction.start(repository, { signal });
    await transaction.update('refs/heads/new', {
      newOid: (await repository.objects.info('main'))?.oid ?? '',
    });
    await transaction.prepare();
  },
  'a change that git refuses': async (repository, signal) => {
    await using transaction = await RefTransaction.start(repository, { signal });
    await transaction.update('refs/heads/new', { newOid: '1'.repeat(40) });
    await transaction.prepare().catch(() => {});
  },
};

for (const [what, work] of Object.entries(WORK)) {
  test(`${what} takes its listeners off the signal of the call`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1 });
    const big = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'x'.repeat(600_000));
    fixture.runGit(repository.path, ['tag', 'big', big]);
    const { signal } = new AbortController();

    // Twice: the second time a process waits already.
    for (let run = 0; run < 2; run++) {
      await work(repository, signal);
      await until(() => getEventListeners(signal, 'abort').length === 0);
    }
  });
}
