import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { beginMoves, endMigration, moveReferences } from '#storage/lifecycle/reference-files';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { needsGit } from '#testkit/repositories/needs-git';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import type { UserCommitFilesRequestSchema } from '#wire/gen/operations_pb';
import { MigrateReferenceBackendRequest_ReferenceBackend as Backend } from '#wire/gen/repository_pb';

const skip = needsGit('refsMigrate');
const REPOSITORY = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };
const WITH_TRANSACTIONS = { config: { transactions: { enabled: true } } };
const FORMATS = ['files', 'reftable'] as const;

type Format = (typeof FORMATS)[number];

function migrate({ connection }: { connection: Connection }, format: Format) {
  return connection.repository.migrateReferenceBackend({
    repository: REPOSITORY,
    targetReferenceBackend: format === 'files' ? Backend.FILES : Backend.REFTABLE,
  });
}

/** Returns all references as git lists them, and that of HEAD. */
function references(path: string): string {
  const options = ['--include-root-refs', '--format=%(refname) %(objectname) %(symref)'];
  return gitOutput(path, ['for-each-ref', ...options]);
}

/** Creates a repository with references of each kind. */
function createRepository(path: string, objectFormat: 'sha1' | 'sha256' = 'sha1'): void {
  initRepository(path, { commits: 2, objectFormat });
  gitOutput(path, ['pack-refs', '--all']);
  for (const name of ['refs/heads/a/b', 'refs/tags/v1', 'refs/keep-around/x', 'refs/heads/ä'])
    gitOutput(path, ['update-ref', name, 'main']);
  gitOutput(path, ['symbolic-ref', 'refs/remotes/origin/HEAD', 'refs/heads/main']);
}

function assertFormat(path: string, format: Format): void {
  assert.equal(gitOutput(path, ['rev-parse', '--show-ref-format']), format);
  const names = readdirSync(path);
  assert.equal(names.includes('reftable'), format === 'reftable');
  assert.deepEqual(
    names.filter((name) => name.startsWith('ref_migration') || name.endsWith('.lock')),
    [],
  );
  if (format === 'reftable') assert.deepEqual(readdirSync(join(path, 'refs')), ['heads']);
}

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`references move to the other format and back: ${objectFormat}`, { skip }, async () => {
    await using gitaly = await startGitaly(WITH_TRANSACTIONS);
    const path = join(gitaly.storagePath(), 'x.git');
    createRepository(path, objectFormat);
    const [config, all] = [readFileSync(join(path, 'config'), 'utf8'), references(path)];

    for (const format of ['reftable', 'files'] as const) {
      await migrate(gitaly, format);
      const sinceSwitchMs = Date.now() - statSync(join(path, 'config')).mtimeMs;
      assert.ok(sinceSwitchMs > 450, 'a git that has read the old config file opens the old references');
      assertFormat(path, format);
      assert.equal(references(path), all);
      assert.equal(gitOutput(path, ['fsck', '--strict']), '');
    }

    assert.equal(readFileSync(join(path, 'config'), 'utf8'), config);
  });

test('what git refuses changes nothing, and has its words', { skip }, async () => {
  await using gitaly = await startGitaly(WITH_TRANSACTIONS);
  const path = join(gitaly.storagePath(), 'x.git');
  createRepository(path);
  gitOutput(path, ['worktree', 'add', join(gitaly.directory, 'tree'), 'main']);
  const all = references(path);

  await assert.rejects(migrate(gitaly, 'reftable'), {
    code: 'INTERNAL',
    message:
      'migration failed: running refs migrate: exit status 255, ' +
      'stderr: "error: migrating repositories with worktrees is not supported yet\\n"',
  });

  assertFormat(path, 'files');
  assert.equal(references(path), all);
});

test('files that cannot be moved into place leave the references where they were', { skip }, async () => {
  await using gitaly = await startGitaly(WITH_TRANSACTIONS);
  const path = join(gitaly.storagePath(), 'x.git');
  createRepository(path);
  await migrate(gitaly, 'reftable');
  const all = references(path);
  mkdirSync(join(path, 'packed-refs/in-the-way'), { recursive: true });

  await assert.rejects(migrate(gitaly, 'files'), { code: 'INTERNAL', message: /packed-refs/ });

  assert.equal(gitOutput(path, ['rev-parse', '--show-ref-format']), 'reftable');
  assert.equal(references(path), all);
});

test('a name that was missing before a migration is found after it, in every cache', { skip }, async () => {
  await using gitaly = await startGitaly(WITH_TRANSACTIONS);
  const path = initServed(gitaly, 'x.git', { commits: 1 });
  const ref = Buffer.from('refs/heads/new');
  const exists = async () => (await gitaly.connection.ref.refExists({ repository: REPOSITORY, ref })).value;

  for (const format of ['reftable', 'files', 'reftable'] as const) {
    assert.equal(await exists(), false);
    // As an administrator would do it.
    gitOutput(path, ['refs', 'migrate', `--ref-format=${format}`]);
    assert.equal(await exists(), false);
    gitOutput(path, ['update-ref', ref.toString(), 'main']);
    assert.equal(await exists(), true);
    gitOutput(path, ['update-ref', '-d', ref.toString()]);
  }
});

for (const format of FORMATS)
  test(`a process may die at any step on the way to ${format}`, { skip }, async (context) => {
    const directory = makeScratchDirectory('migrate-steps');
    context.after(() => rmSync(directory, { recursive: true, force: true }));
    const start = join(directory, 'start.git');
    createRepository(start);
    if (format === 'files') gitOutput(start, ['refs', 'migrate', '--ref-format=reftable']);
    const all = references(start);
    const other = format === 'files' ? 'reftable' : 'files';

    for (let steps = 0; steps <= 4; steps++) {
      const path = join(directory, `${steps}.git`);
      cpSync(start, path, { recursive: true });
      gitOutput(path, ['refs', 'migrate', '--dry-run', `--ref-format=${format}`]);
      const draft = join(path, readdirSync(path).find((name) => name.startsWith('ref_migration')) ?? '');
      if (steps > 0) await beginMoves(draft, format);
      if (steps > 1) await moveReferences(path, draft, format);
      if (steps > 2) gitOutput(path, ['config', 'core.repositoryFormatVersion', '1']);
      assert.equal(references(path), all, `${steps} steps`);
      if (steps > 3 && format === 'files') gitOutput(path, ['config', '--unset', 'extensions.refStorage']);
      if (steps > 3 && format === 'reftable') gitOutput(path, ['config', 'extensions.refStorage', format]);
      assert.equal(references(path), all, `${steps} steps`);

      await endMigration(path, draft);

      assert.equal(references(path), all, `${steps} steps`);
      assertFormat(path, steps > 3 ? format : other);
    }
  });

test('writers and readers beside migrations lose and miss nothing', { skip }, async () => {
  await using gitaly = await startGitaly(WITH_TRANSACTIONS);
  const path = join(gitaly.storagePath(), 'x.git');
  createRepository(path);
  const tip = gitOutput(path, ['rev-parse', 'main']);
  const written = new Map<string, string>();
  const ending = new AbortController();
  const writers = writersOf(gitaly, tip).map((write, kind) => repeat(kind, write, written, ending.signal));
  const readers = [readMain(gitaly, tip, ending.signal), listMain(gitaly, ending.signal)];

  const rounds = repetitions('MIGRATIONS', { short: 2, long: 15 });
  for (let round = 0; round < rounds; round++)
    for (const format of ['reftable', 'files'] as const) await migrate(gitaly, format);
  ending.abort();
  const counts = await Promise.all(writers);
  await Promise.all(readers);

  assert.ok(Math.min(...counts) > 0, `writes: ${counts}`);
  const stored = new Map(
    gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname)'])
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  );
  for (const [name, oid] of written) assert.equal(stored.get(name), oid, name);
  assertFormat(path, 'files');
  assert.equal(existsSync(join(path, 'reftable')), false);
});

test('an old git cannot migrate references', {
  skip: skip === false && 'this git migrates references',
}, async () => {
  await using gitaly = await startGitaly(WITH_TRANSACTIONS);
  initServed(gitaly, 'x.git');

  await migrate(gitaly, 'files');
  await assert.rejects(migrate(gitaly, 'reftable'), {
    code: 'FAILED_PRECONDITION',
    message: 'migration failed: migrating references needs git 2.46 or newer',
  });
});

/** Creates a reference, and returns its object id when that is acknowledged. */
type Write = (name: string) => Promise<string>;

/** Returns writers that take different ways to git. */
function writersOf({ connection }: TestGitaly, tip: string): Write[] {
  const { operation, repository, ref, smartHttp } = connection;
  return [
    async (name) => {
      await repository.writeRef({
        repository: REPOSITORY,
        ref: Buffer.from(name),
        revision: Buffer.from(tip),
      });
      return tip;
    },
    async (name) => {
      const { branchUpdate } = await operation.userCommitFiles(commitOf(name));
      return branchUpdate?.commitId ?? '';
    },
    async (name) => {
      const stdin = pushBody([`${ZERO_OID} ${tip} ${name}`]);
      const answer: Uint8Array[] = [];
      const first = { repository: REPOSITORY, glId: 'user-1', glRepository: 'project-1' };
      for await (const { data } of smartHttp.postReceivePack([first, { data: stdin }])) answer.push(data);
      assert.deepEqual(readReport(Buffer.concat(answer)).report, ['unpack ok', `ok ${name}`]);
      return tip;
    },
    async (name) => {
      await repository.writeRef({
        repository: REPOSITORY,
        ref: Buffer.from(name),
        revision: Buffer.from(tip),
      });
      await ref.deleteRefs({ repository: REPOSITORY, refs: [Buffer.from(name)] });
      return '';
    },
  ];
}

/** Returns the requests that commit a file to a new branch. */
function commitOf(name: string): MessageInitShape<typeof UserCommitFilesRequestSchema>[] {
  const header = {
    repository: REPOSITORY,
    user: USER,
    branchName: Buffer.from(name.replace('refs/heads/', '')),
    startBranchName: Buffer.from('main'),
    commitMessage: Buffer.from(name),
  };
  const file = { case: 'header', value: { filePath: Buffer.from(name) } } as const;
  const content = { case: 'content', value: Buffer.from(name) } as const;
  const actionOf = (userCommitFilesActionPayload: typeof file | typeof content) => ({
    userCommitFilesRequestPayload: { case: 'action', value: { userCommitFilesActionPayload } } as const,
  });
  return [
    { userCommitFilesRequestPayload: { case: 'header', value: header } },
    actionOf(file),
    actionOf(content),
  ];
}

/** Writes until the abort. @returns the number of writes. */
async function repeat(
  kind: number,
  write: Write,
  written: Map<string, string>,
  signal: AbortSignal,
): Promise<number> {
  let count = 0;
  for (; !signal.aborted; count++) {
    const name = `refs/heads/written/${kind}/${count}`;
    const oid = await write(name);
    if (oid !== '') written.set(name, oid);
  }
  return count;
}

async function readMain({ connection }: TestGitaly, tip: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { branch } = await connection.ref.findBranch({
      repository: REPOSITORY,
      name: Buffer.from('main'),
    });
    assert.equal(branch?.targetCommit?.id, tip);
  }
}

async function listMain({ connection }: TestGitaly, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const patterns = [Buffer.from('refs/heads/main'), Buffer.from('refs/tags/')];
    const found = await Array.fromAsync(
      connection.ref.listRefs({ repository: REPOSITORY, patterns, head: true }),
    ).catch((error: unknown) => assert.fail(`${codeOf(error)} ${error}`));
    const names = found.flatMap(({ references }) => references.map(({ name }) => name.toString()));
    assert.deepEqual(names, ['HEAD', 'refs/heads/main', 'refs/tags/v1']);
  }
}
