import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ZERO_OID } from '#git/names/object-id';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { VotePhase } from '#storage/lifecycle/voter';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { ApiCallOptions, InternalApi } from '../gitlab-api/internal-api.ts';
import { standAloneApi } from '../gitlab-api/stand-alone-api.ts';
import { HookManager } from '../hooks/hook-manager.ts';
import { Voter } from '../transactions/voter.ts';
import { moveReference } from './move-reference.ts';
import { updateFromQuarantine } from './quarantined-update.ts';
import { UpdateFailedError } from './refusals.ts';
import { type UpdateContext, updateWithHooks } from './update-with-hooks.ts';

const TRANSACTION = { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 };
const REFERENCE = 'refs/blobs/new';

interface SetUp extends AsyncDisposable {
  readonly repository: Repository;
  readonly oid: string;
  readonly warnings: string[];
  readonly apiCalls: ApiCallOptions[];
  /** The steps so far: `<step>: <value of the reference>`, and what else is true then. */
  steps(): string[];
  /** Adds a custom hook that is a step and then runs a text. */
  script(hook: string, text?: string): void;
  /** Creates the reference, whose object is in a quarantine before. */
  create(context?: Partial<UpdateContext>, pushOptions?: readonly string[]): Promise<void>;
  contextOf(context?: Partial<UpdateContext>): UpdateContext;
}

interface SetUpOptions {
  readonly objectFormat?: 'sha1' | 'sha256';
  readonly gitlab?: Partial<InternalApi>;
  /** The vote that is lost. */
  readonly lose?: VotePhase;
}

async function setUp({ objectFormat = 'sha1', gitlab = {}, lose }: SetUpOptions = {}): Promise<SetUp> {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('x.git', { objectFormat });
  const { path } = repository;
  const log = join(path, 'steps');
  writeFileSync(log, '');
  const oid = fixture.runGit(path, ['hash-object', '--stdin'], 'new\n');
  const reference = (): string => fixture.runGit(path, ['for-each-ref', '--format=%(objectname)', REFERENCE]);
  const warnings: string[] = [];
  const apiCalls: ApiCallOptions[] = [];
  const hooks = new HookManager({
    storages: fixture.storages,
    api: {
      ...standAloneApi,
      allowed: async (_, options) => {
        apiCalls.push(options);
        return { allowed: true, message: '' };
      },
      ...gitlab,
    },
    voter: new Voter({
      connect: () => ({
        vote: async ({ phase }) => {
          const isLocked = existsSync(join(path, `${REFERENCE}.lock`));
          appendFileSync(log, `${phase}: ${isLocked ? 'locked' : reference() || 'none'}\n`);
          return phase === lose ? 'abort' : 'commit';
        },
        stop: async () => appendFileSync(log, 'stop\n'),
      }),
    }),
    customHooksDirectory: '',
    onWarning: (message, error) => warnings.push(`${message}: ${error}`),
  });
  const contextOf = (context: Partial<UpdateContext> = {}): UpdateContext => ({
    hooks,
    user: { username: 'jane', userId: 'user-1', protocol: 'web', remoteIp: '10.0.0.1' },
    transaction: undefined,
    clientContext: undefined,
    correlationId: 'cid',
    signal: new AbortController().signal,
    ...context,
  });
  return {
    repository,
    oid,
    warnings,
    apiCalls,
    steps: () => readFileSync(log, 'utf8').replaceAll(oid, 'new').trimEnd().split('\n'),
    script: (hook, text = '') => {
      mkdirSync(join(path, 'custom_hooks'), { recursive: true });
      const value = `git for-each-ref '--format=%(objectname)' ${REFERENCE}`;
      const lines = ['#!/bin/sh', `value=$(${value})`, `echo "${hook}: \${value:-none}" >> ${log}`, text];
      writeFileSync(join(path, 'custom_hooks', hook), lines.join('\n'));
      chmodSync(join(path, 'custom_hooks', hook), 0o755);
    },
    contextOf,
    create: async (context, pushOptions) => {
      const value = {
        reference: Buffer.from(REFERENCE),
        oldOid: ZERO_OID[objectFormat],
        newOid: oid,
        pushOptions,
      };
      const make = async (quarantine: Quarantine) => {
        await using writer = new ObjectWriter(quarantine.repository, objectFormat);
        await writer.write('blob', Buffer.from('new\n'));
        await writer.finish();
        return value;
      };
      assert.equal(await updateFromQuarantine(repository, make, contextOf(context)), value);
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

async function failureOf(change: Promise<void>): Promise<UpdateFailedError> {
  const error = await change.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof UpdateFailedError, `${error}`);
  return error;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the nodes vote between the steps of a change: ${objectFormat}`, async () => {
    await using change = await setUp({ objectFormat });
    for (const hook of ['pre-receive', 'update', 'post-receive']) change.script(hook);

    await change.create({ transaction: TRANSACTION });

    assert.deepEqual(change.steps(), [
      'pre-receive: none',
      'synchronized: none',
      'update: none',
      'synchronized: none',
      'preparing: none',
      'prepared: locked',
      'committed: new',
      'post-receive: new',
      'synchronized: new',
    ]);
  });
}

test('the new object is in a quarantine for pre-receive, and in the repository for update', async () => {
  await using change = await setUp();
  const { path } = change.repository;
  const isInRepository = `GIT_OBJECT_DIRECTORY=${path}/objects git cat-file -e ${change.oid}`;
  change.script('pre-receive', `git cat-file -e ${change.oid} && ! ${isInRepository}`);
  change.script('update', isInRepository);

  await change.create();

  assert.deepEqual(change.steps(), ['pre-receive: none', 'update: none']);
});

test('objects that cannot be moved into the repository end the change', async () => {
  await using change = await setUp();
  for (const hook of ['pre-receive', 'update']) change.script(hook);
  const { path } = change.repository;
  writeFileSync(join(path, 'objects', change.oid.slice(0, 2)), 'no directory');

  assert.match((await failureOf(change.create())).message, /ENOTDIR|not a directory/);
  assert.deepEqual(change.steps(), ['pre-receive: none']);
});

test('scripts and GitLab learn who changes the reference, and for which call', async () => {
  await using change = await setUp();
  const facts = '$GL_ID $GL_PROTOCOL $CORRELATION_ID $GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0';
  change.script('pre-receive', `read line; [ "$line ${facts}" = "$(cat expected)" ]`);
  const line = `${ZERO_OID.sha1} ${change.oid} ${REFERENCE}`;
  writeFileSync(join(change.repository.path, 'expected'), `${line} user-1 web cid 1 ci.skip`);

  await change.create({}, ['ci.skip']);

  const [{ correlationId, remoteIp } = {}] = change.apiCalls;
  assert.deepEqual([correlationId, remoteIp], ['cid', '10.0.0.1']);
});

// The texts are Gitaly's; what is true after each failed step is in the table of README.md.
for (const { step, message, by, steps, hasObject } of [
  {
    step: 'pre-receive',
    message: 'running pre-receive hooks: no\n',
    by: 'custom-hook',
    steps: ['pre-receive: none', 'stop'],
    hasObject: false,
  },
  {
    step: 'update',
    message: 'running update hooks: no\n',
    by: 'custom-hook',
    steps: ['synchronized: none', 'update: none', 'stop'],
    hasObject: true,
  },
  {
    step: 'preparing',
    message: 'executing pre-locked reference-transaction hook: error voting on transaction: ',
    by: undefined,
    steps: ['synchronized: none', 'synchronized: none', 'preparing: none'],
    hasObject: true,
  },
  {
    step: 'prepared',
    message: 'executing preparatory reference-transaction hook: error voting on transaction: ',
    by: undefined,
    steps: ['synchronized: none', 'synchronized: none', 'preparing: none', 'prepared: locked'],
    hasObject: true,
  },
] as const) {
  test(`a change that is refused at ${step} goes no further and leaves the reference`, async () => {
    const isVote = step === 'preparing' || step === 'prepared';
    await using change = await setUp(isVote ? { lose: step } : {});
    if (!isVote) change.script(step, 'echo no >&2; exit 1');

    const failure = await failureOf(change.create({ transaction: TRANSACTION }));

    assert.equal(failure.message, isVote ? `${message}transaction was aborted` : message);
    assert.equal(failure.refusal?.by, by);
    assert.deepEqual(change.steps(), steps);
    assert.equal(await change.repository.refs.read(REFERENCE), undefined);
    assert.equal((await change.repository.objects.info(change.oid)) !== undefined, hasObject);
  });
}

for (const [where, transaction, steps] of [
  ['without a cluster', undefined, ['pre-receive: none', 'update: none']],
  [
    'in a cluster',
    TRANSACTION,
    [
      'pre-receive: none',
      'synchronized: locked',
      'update: none',
      'synchronized: locked',
      'preparing: locked',
    ],
  ],
] as const) {
  test(`git's refusal names the change, and no node votes for it: ${where}`, async () => {
    await using change = await setUp();
    for (const hook of ['pre-receive', 'update', 'post-receive']) change.script(hook);
    mkdirSync(join(change.repository.path, 'refs/blobs'));
    writeFileSync(join(change.repository.path, `${REFERENCE}.lock`), '');

    const { refusal, message } = await failureOf(change.create({ transaction }));

    assert.equal(message, 'reference update: reference is already locked');
    assert.equal(refusal?.by, 'git');
    assert.deepEqual(
      { ...refusal?.error },
      {
        name: 'ReferenceUpdateError',
        reference: Buffer.from(REFERENCE),
        oldOid: ZERO_OID.sha1,
        newOid: change.oid,
      },
    );
    assert.deepEqual(change.steps(), steps);
  });
}

test('a reference that has changed already stays changed when the last vote is lost', async () => {
  await using change = await setUp({ lose: 'committed' });
  change.script('post-receive');

  const { message, refusal } = await failureOf(change.create({ transaction: TRANSACTION }));

  assert.equal(
    message,
    'executing committing reference-transaction hook: error voting on transaction: transaction was aborted',
  );
  assert.equal(refusal, undefined);
  assert.equal(change.steps().at(-1), 'committed: new');
});

test('a script that fails after the change is a warning, and a GitLab that fails then an error', async () => {
  await using change = await setUp();
  change.script('post-receive', 'exit 1');
  await change.create();
  const [warning] = change.warnings;
  assert.match(warning ?? '', /^post-receive hook returned an error: .*running post-receive hooks: /);

  const postReceive = () => Promise.reject(new Error('down'));
  await using failing = await setUp({ gitlab: { postReceive } });
  failing.script('update');
  const { message } = await failureOf(failing.create());
  assert.equal(message, 'running post-receive hooks: GitLab: down');
  assert.notEqual(await failing.repository.refs.read(REFERENCE), undefined);
  assert.deepEqual(failing.warnings, []);
});

// The texts are Gitaly's.
for (const [what, wrong, message] of [
  ['name', { reference: Buffer.alloc(0) }, 'reference cannot be empty'],
  ['old value', { oldOid: 'x' }, 'validating old value: invalid object ID: "x", expected length 40, got 1'],
  ['new value', { newOid: 'x' }, 'validating new value: invalid object ID: "x", expected length 40, got 1'],
] as const) {
  test(`no hook runs for a change without a valid ${what}`, async () => {
    await using change = await setUp();
    change.script('pre-receive');
    const { repository, oid } = change;
    const valid = { repository, reference: Buffer.from('x'), oldOid: ZERO_OID.sha1, newOid: oid };

    const failure = await failureOf(updateWithHooks({ ...valid, ...wrong }, change.contextOf()));

    assert.equal(failure.message, message);
    assert.deepEqual(change.steps(), ['']);
  });
}

test('scripts have a quarantine even when the object of a change exists already', async () => {
  await using change = await setUp();
  const { path } = change.repository;
  change.script('pre-receive', `case $GIT_OBJECT_DIRECTORY in ${path}/objects | '') exit 1;; esac`);
  await change.create();

  const reference = Buffer.from('refs/blobs/other');
  const { repository, oid } = change;
  const update = { repository, reference, oldOid: ZERO_OID.sha1, newOid: oid };
  await moveReference(update, change.contextOf());

  assert.equal((await repository.refs.resolve('refs/blobs/other'))?.oid, oid);
});
