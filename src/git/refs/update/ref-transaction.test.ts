import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { blockFor, countTurns } from '#testkit/measure/loop-turns';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { RefTransaction } from './ref-transaction.ts';
import { RefUpdateError, type RefUpdateProblem } from './ref-update-error.ts';

const ZERO = '0'.repeat(40);
const ABSENT = '1'.repeat(40);

async function commitUpdate(
  repository: Repository,
  name: string | Buffer,
  newOid: string,
  oldOid?: string,
): Promise<void> {
  await using transaction = await RefTransaction.start(repository);
  await transaction.update(name, { newOid, oldOid });
  await transaction.commit();
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`references of a ${objectFormat} repository change together in one step`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 2, objectFormat });
    const [second = '', first = ''] = fixture.runGit(repository.path, ['rev-list', 'main']).split('\n');

    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/main', { newOid: first, oldOid: second });
    await transaction.update(Buffer.from([...Buffer.from('refs/heads/'), 0xff]), { newOid: second });
    await transaction.commit();

    const names = fixture.runGit(repository.path, ['for-each-ref', '--format=%(objectname)']).split('\n');
    assert.deepEqual(names, [first, second]);
    await commitUpdate(repository, 'refs/heads/main', '0'.repeat(first.length), first);
    assert.equal(fixture.runGit(repository.path, ['for-each-ref', 'refs/heads/main']), '');
  });
}

test('nothing happens before the commit, and nothing at all without one', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  {
    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/new', { newOid: oid });
    await transaction.prepare();
    assert.ok(existsSync(`${repository.path}/refs/heads/new.lock`));
  }

  assert.equal(fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
  assert.equal(existsSync(`${repository.path}/refs/heads/new.lock`), false);
});

// Symptom: other calls waited for 30 to 45 ms while DeleteRefs queued 100,000 references.
test('many references are queued in slices of the event loop', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  await using transaction = await RefTransaction.start(repository);
  using turns = countTurns();
  blockFor(6);

  // More than is written at once, and less than the pipe to git holds.
  for (let index = 0; index < 400; index++)
    await transaction.update(`refs/heads/${'x'.repeat(100)}${index}`, { newOid: ZERO });

  assert.ok(turns.count > 0);
});

test('many references are changed at once', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  await using transaction = await RefTransaction.start(repository);
  for (let number = 0; number < 500; number++)
    await transaction.update(`refs/tags/t${number}`, { newOid: oid });
  await transaction.prepare();
  await transaction.commit();

  assert.equal(
    fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)', 'refs/tags']).split('\n').length,
    500,
  );
});

test('a symbolic reference is followed unless it is not to be', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/link', 'refs/heads/target']);
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  await commitUpdate(repository, 'refs/heads/link', newOid);
  assert.equal(readFileSync(`${repository.path}/refs/heads/link`, 'utf8'), 'ref: refs/heads/target\n');

  await using transaction = await RefTransaction.start(repository, {
    noDereference: true,
  });
  await transaction.update('refs/heads/link', { newOid });
  await transaction.commit();
  assert.equal(readFileSync(`${repository.path}/refs/heads/link`, 'utf8'), `${newOid}\n`);
});

test('a symbolic reference that is deleted goes by itself, whatever it leads to', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  fixture.runGit(repository.path, ['symbolic-ref', 'refs/heads/link', 'refs/heads/main']);

  await assert.rejects(commitUpdate(repository, 'refs/heads/link', ZERO, ABSENT), {
    message: 'reference does not point to expected object',
  });
  await commitUpdate(repository, 'refs/heads/link', ZERO, oid);

  assert.equal(fixture.runGit(repository.path, ['for-each-ref', '--format=%(refname)']), 'refs/heads/main');
});

interface Refusal {
  readonly what: string;
  readonly problem: RefUpdateProblem;
  readonly facts?: Readonly<Record<string, string>>;
  readonly run: (repository: Repository, oid: string, fixture: StorageFixture) => Promise<void>;
}

const REFUSALS: readonly Refusal[] = [
  {
    what: 'a lock file',
    problem: 'locked',
    run: async (repository) => {
      const locked = repository.refs.backend === 'files' ? 'refs/heads/main' : 'reftable/tables.list';
      writeFileSync(`${repository.path}/${locked}.lock`, '');
      await commitUpdate(repository, 'refs/heads/main', ZERO);
    },
  },
  {
    what: 'another value than expected',
    problem: 'unexpected-value',
    facts: { reference: 'refs/heads/main', expectedOid: ABSENT },
    run: (repository, oid) => commitUpdate(repository, 'refs/heads/main', oid, ABSENT),
  },
  {
    what: 'a reference that was not to exist',
    problem: 'already-exists',
    facts: { reference: 'refs/heads/main' },
    run: (repository, oid) => commitUpdate(repository, 'refs/heads/main', oid, ZERO),
  },
  {
    what: 'a name that git does not allow',
    problem: 'invalid-name',
    facts: { reference: 'refs/heads/a..b' },
    run: (repository, oid) => commitUpdate(repository, 'refs/heads/a..b', oid),
  },
  {
    what: 'a branch where a directory would have to be',
    problem: 'directory-conflict',
    facts: { existingReference: 'refs/heads/main', reference: 'refs/heads/main/x' },
    run: (repository, oid) => commitUpdate(repository, 'refs/heads/main/x', oid),
  },
  {
    what: 'two names that exclude each other',
    problem: 'conflicting-updates',
    run: async (repository, newOid) => {
      await using transaction = await RefTransaction.start(repository);
      await transaction.update('refs/heads/a', { newOid });
      await transaction.update('refs/heads/a/b', { newOid });
      await transaction.commit();
    },
  },
  {
    what: 'the same reference twice',
    problem: 'updated-twice',
    facts: { reference: 'refs/heads/a' },
    run: async (repository, newOid) => {
      await using transaction = await RefTransaction.start(repository);
      await transaction.update('refs/heads/a', { newOid });
      await transaction.update('refs/heads/a', { newOid });
      await transaction.prepare();
    },
  },
  {
    what: 'an object that is missing',
    problem: 'object-missing',
    facts: { reference: 'refs/heads/a' },
    run: (repository) => commitUpdate(repository, 'refs/heads/a', ABSENT),
  },
  {
    what: 'a branch of something that is no commit',
    problem: 'object-not-commit',
    facts: { reference: 'refs/heads/a' },
    run: (repository, _oid, fixture) =>
      commitUpdate(repository, 'refs/heads/a', fixture.runGit(repository.path, ['rev-parse', 'main^{tree}'])),
  },
];

for (const [referenceBackend, { what, problem, facts, run }] of referenceBackends().flatMap((backend) =>
  REFUSALS.map((refusal) => [backend, refusal] as const),
)) {
  test(`${what} is told apart from other failures: ${referenceBackend}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { commits: 1, referenceBackend });
    const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);

    const error = await run(repository, oid, fixture).then(
      () => assert.fail('was not refused'),
      (reason: unknown) => reason,
    );

    assert.ok(error instanceof RefUpdateError, String(error));
    assert.equal(error.problem, problem);
    for (const [name, value] of Object.entries(facts ?? {}))
      assert.equal(String(Reflect.get(error.facts, name)), value);
    assert.equal(fixture.runGit(repository.path, ['rev-parse', 'main']), oid);
  });
}

test('a lock says of which reference it is, where there is one for each', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  writeFileSync(`${repository.path}/refs/heads/main.lock`, '');

  await assert.rejects(commitUpdate(repository, 'refs/heads/main', ZERO), {
    message: 'reference is already locked',
    facts: { reference: Buffer.from('refs/heads/main') },
  });
});

test('another failure is told by its exit code', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  mkdirSync(`${repository.path}/refs/heads/d/e`, { recursive: true });
  writeFileSync(`${repository.path}/refs/heads/d/e/f`, 'junk');

  await assert.rejects(commitUpdate(repository, 'refs/heads/x', 'junk'), {
    name: 'GitExitError',
    message: 'exit status 128',
  });
});

test('steps out of order are refused', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });

  await using transaction = await RefTransaction.start(repository);
  await transaction.prepare();

  await assert.rejects(
    transaction.update('refs/heads/x', { newOid: ZERO }),
    /expected state "started" but it was "prepared"/,
  );
  await transaction.commit();
  await assert.rejects(transaction.commit(), /expected state "started" but it was "closed"/);
});

test('an abort undoes the change', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const controller = new AbortController();
  const newOid = fixture.runGit(repository.path, ['rev-parse', 'main']);

  await using transaction = await RefTransaction.start(repository, {
    signal: controller.signal,
  });
  await transaction.update('refs/heads/new', { newOid });
  await transaction.prepare();
  controller.abort();

  await assert.rejects(transaction.commit(), { code: 'CANCELLED', message: 'context canceled' });
  assert.equal(fixture.runGit(repository.path, ['for-each-ref', 'refs/heads/new']), '');
  assert.equal(existsSync(`${repository.path}/refs/heads/new.lock`), false);
});

test('a symbolic reference is made by a git that can, and never with a NUL', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const change = async (name: string, target: string): Promise<void> => {
    await using transaction = await RefTransaction.start(repository);
    await transaction.updateSymbolic(name, target);
    await transaction.commit();
  };

  for (const [name, target] of [
    ['refs/heads/link\0refs/heads/x', 'refs/heads/main'],
    ['refs/heads/link', 'refs/heads/main\0update refs/heads/b'],
  ] as const)
    await assert.rejects(change(name, target), { message: 'exit status 128' });
  assert.deepEqual(readdirSync(`${repository.path}/refs/heads`), ['main']);
  const changed = change('refs/heads/link', 'refs/heads/main');
  if (repository.git.capabilities.symrefUpdate) {
    await changed;
    assert.equal(readFileSync(`${repository.path}/refs/heads/link`, 'utf8'), 'ref: refs/heads/main\n');
  } else await assert.rejects(changed, { name: 'GitExitError' });
});

test('a repository that git refuses is refused at the start, and nothing stays open', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  writeFileSync(`${repository.path}/config`, '[broken');
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();

  for (let attempt = 0; attempt < 3; attempt++)
    await assert.rejects(RefTransaction.start(repository), { name: 'GitExitError', exitCode: 128 });

  assert.ok(open() <= before);
});

test('a process is started in its turn, and only when none waits', async (context) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const turns = context.mock.method(repository, 'spawnTurn');

  for (let number = 0; number < 2; number++) {
    await using transaction = await RefTransaction.start(repository);
    await transaction.commit();
  }

  assert.equal(turns.mock.callCount(), 1);
});

test('the recorder of changes gets the values that a change certainly has', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { commits: 1 });
  const oid = fixture.runGit(repository.path, ['rev-parse', 'main']);
  fixture.runGit(repository.path, ['update-ref', 'refs/heads/gone', oid]);
  const recorded: unknown[] = [];
  fixture.caches.changeRecorder = {
    begin: async (_, names) => ({
      succeeded: (values) => recorded.push(names, [...values]),
      [Symbol.asyncDispose]: async () => void recorded.push('read again'),
    }),
  };

  {
    await using transaction = await RefTransaction.start(repository);
    await transaction.update('refs/heads/new', { newOid: oid });
    await transaction.update('refs/heads/gone', { newOid: ZERO });
    await transaction.update('refs/heads/named', { newOid: 'main' });
    await transaction.commit();
  }

  const [made, deleted, named] = ['refs/heads/new', 'refs/heads/gone', 'refs/heads/named'];
  const values = [
    [made, oid],
    [deleted, undefined],
  ];
  assert.deepEqual(recorded, [[made, deleted, named], values, 'read again']);
  assert.equal(fixture.runGit(repository.path, ['rev-parse', named]), oid);
});
