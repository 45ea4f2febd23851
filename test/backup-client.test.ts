import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CallError, collect, setCustomHooks, splitBytes } from '#client/index';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

/** A repository in requests. */
interface Place {
  readonly storageName: string;
  readonly relativePath: string;
}

/** A step of a backup, as gitaly-backup stores it. */
interface Step {
  readonly bundle: Buffer;
  readonly refs: readonly { readonly name: Buffer; readonly target: string }[];
}

/**
 * Makes the calls of `gitaly-backup create`, which runs without server-side backups. `since` is the
 * previous step of an incremental backup. @see Gitaly: internal/backup, Manager.Create
 */
async function createStep({ connection }: TestGitaly, repository: Place, since?: Step): Promise<Step> {
  const patterns = [Buffer.from('refs/')];
  const refs: { name: Buffer; target: string }[] = [];
  for await (const { references } of connection.ref.listRefs({ repository, head: true, patterns }))
    for (const { name, target } of references) refs.push({ name: Buffer.from(name), target });
  const known = (since?.refs ?? []).map(({ target }) => `^${target}`);
  const wanted = ['--all', ...known].map((line) => Buffer.from(line));
  const bundle =
    since === undefined
      ? collect.bytes(connection.repository.createBundle({ repository }), ({ data }) => data)
      : collect.bytes(
          connection.repository.createBundleFromRefList([{ repository, patterns: wanted }]),
          ({ data }) => data,
        );
  return { refs, bundle: await bundle };
}

/** Makes the calls of `gitaly-backup restore`. */
async function restore({ connection }: TestGitaly, repository: Place, steps: readonly Step[], hooks: Buffer) {
  await connection.repository.removeRepository({ repository }).catch((error) => {
    if (!(error instanceof CallError) || error.code !== 'NOT_FOUND') throw error;
  });
  await connection.repository.createRepository({ repository, defaultBranch: Buffer.from('trunk') });
  for (const { bundle } of steps) {
    const requests = async function* () {
      let first = true;
      for await (const data of splitBytes(bundle)) {
        yield first ? { repository, updateHead: true, data } : { data };
        first = false;
      }
    };
    await connection.repository.fetchBundle(requests());
  }
  await setCustomHooks(connection, repository, hooks);
}

/** Makes the references those of a step: only these, and HEAD. */
async function resetRefs(gitaly: TestGitaly, repository: Place, { refs }: Step): Promise<void> {
  const { connection } = gitaly;
  const zeros = Buffer.from('0'.repeat(40));
  const wanted = new Map(refs.map(({ name, target }) => [`${name}`, Buffer.from(target)]));
  wanted.delete('HEAD');
  const patterns = [Buffer.from('refs/')];
  for await (const { references } of connection.ref.listRefs({ repository, patterns }))
    for (const { name } of references) {
      const key = Buffer.from(name).toString();
      if (!wanted.has(key)) wanted.set(key, zeros);
    }
  const updates = Array.from(wanted, ([name, newObjectId]) => ({
    reference: Buffer.from(name),
    newObjectId,
  }));
  await connection.ref.updateReferences([{ repository, updates }]);
  const trunk = Buffer.from('refs/heads/trunk');
  await connection.repository.writeRef({ repository, ref: Buffer.from('HEAD'), revision: trunk });
}

test('a backup by gitaly-backup, with an increment and hooks, is restored as it was', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository();
  await repository.git(['symbolic-ref', 'HEAD', 'refs/heads/trunk']);
  await repository.commit({ branch: 'trunk', files: { 'large.bin': 'x'.repeat(300_000) } });
  await repository.commit({ branch: 'gone', files: { b: 'b\n' } });
  const hooks = join(gitaly.storagePath(), repository.relativePath, 'custom_hooks');
  mkdirSync(hooks);
  writeFileSync(join(hooks, 'update'), '#!/bin/sh\n');
  chmodSync(join(hooks, 'update'), 0o755);
  const { connection } = gitaly;

  const { format } = await connection.repository.objectFormat({ repository });
  const { name: head } = await connection.ref.findDefaultBranchName({ repository, headOnly: true });
  const full = await createStep(gitaly, repository);
  await repository.commit({ branch: 'trunk', files: { c: 'c\n' } });
  await repository.git(['branch', '-D', 'gone']);
  await repository.git(['tag', 'v1', 'trunk']);
  const increment = await createStep(gitaly, repository, full);
  const archive = await collect.bytes(
    connection.repository.getCustomHooks({ repository }),
    ({ data }) => data,
  );
  const target = { storageName: repository.storageName, relativePath: 'restored.git' };
  await restore(gitaly, target, [full, increment], archive);
  await resetRefs(gitaly, target, increment);

  assert.deepEqual([format, Buffer.from(head).toString()], [1, 'refs/heads/trunk']);
  assert.ok(increment.bundle.length < 1000, 'the increment has only what is new');
  const refs = ['for-each-ref', '--format=%(objectname) %(refname)'];
  assert.equal(await gitaly.askGit(target, refs), await repository.git(refs));
  assert.equal(await gitaly.askGit(target, ['symbolic-ref', 'HEAD']), 'refs/heads/trunk');
  const restored = connection.repository.getCustomHooks({ repository: target });
  assert.deepEqual(await collect.bytes(restored, ({ data }) => data), archive);
  // gitaly-backup takes this as: there is nothing new.
  await assert.rejects(createStep(gitaly, repository, increment), { code: 'FAILED_PRECONDITION' });
});
