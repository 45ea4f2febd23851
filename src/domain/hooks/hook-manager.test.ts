import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { writeSetting } from '#domain/settings/kept-settings';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import type { Repository } from '#storage/repository';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput } from '#testkit/repositories/init-repository';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { AccessCheck, FinishedPush, InternalApi } from '../gitlab-api/internal-api.ts';
import { standAloneApi } from '../gitlab-api/stand-alone-api.ts';
import { Voter, type VotingClient } from '../transactions/voter.ts';
import type { HookCall } from './hook-call.ts';
import { HookManager } from './hook-manager.ts';
import { NotAllowedError } from './not-allowed-error.ts';
import type { HookFacts } from './payload.ts';

const TARGET = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };
const OID = 'a'.repeat(40);
const ZERO = '0'.repeat(40);
const CHANGES = Buffer.from(`${ZERO} ${OID} refs/heads/new\n`);
const UPDATE = { reference: Buffer.from('refs/heads/new'), oldValue: ZERO, newValue: OID };
const PAYLOAD: HookFacts = {
  repository: TARGET,
  objectFormat: 'sha1',
  transaction: undefined,
  user: { username: 'jane', userId: 'user-1', protocol: 'ssh', remoteIp: '' },
  clientContext: Buffer.from('context'),
};
const PRIMARY = { id: 7n, node: 'gitaly-1', primary: true, backchannelId: 3 };
const SECONDARY = { ...PRIMARY, primary: false };
const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex');

/** The phases of a call, in their order, and what the hook manager was called with. */
interface Run extends AsyncDisposable {
  readonly manager: HookManager;
  readonly repository: Repository;
  readonly events: string[];
  readonly checks: AccessCheck[];
  readonly pushes: FinishedPush[];
  call(options?: Partial<Omit<HookCall, 'payload'>> & { payload?: Partial<HookFacts> }): HookCall;
  /** Adds a custom hook. */
  script(hook: string, text: string): void;
}

interface RunOptions {
  /** Replaces answers of GitLab, which allows everything; `undefined` for a server without GitLab. */
  readonly gitlab?: Partial<InternalApi> | undefined;
  readonly voting?: Partial<VotingClient>;
  readonly lfs?: ObjectStore;
}

async function start({ gitlab, lfs, voting = {} }: RunOptions): Promise<Run> {
  const fixture = await StorageFixture.create();
  fixture.init('x.git');
  const repository = fixture.storages.open(TARGET);
  const events: string[] = [];
  const checks: AccessCheck[] = [];
  const pushes: FinishedPush[] = [];
  const { allowed, preReceive, postReceive } = { ...standAloneApi, ...gitlab };
  const api: InternalApi = {
    ...standAloneApi,
    standAlone: gitlab === undefined,
    allowed: (check, options) => {
      checks.push(check);
      events.push('allowed');
      return allowed(check, options);
    },
    preReceive: (name, options) => {
      events.push(`pre_receive ${name}`);
      return preReceive(name, options);
    },
    postReceive: (push, options) => {
      pushes.push(push);
      events.push('post_receive');
      return postReceive(push, options);
    },
  };
  const client: VotingClient = {
    vote: async ({ phase, hash }, options) => {
      events.push(`vote ${phase} ${Buffer.from(hash).toString('hex')}`);
      return voting.vote === undefined
        ? 'commit'
        : await voting.vote({ ...PRIMARY, transactionId: 7n, phase, hash }, options);
    },
    stop: async (id, options) => {
      events.push(`stop ${id}`);
      await voting.stop?.(id, options);
    },
  };
  const manager = new HookManager({
    storages: fixture.storages,
    api,
    voter: new Voter({ connect: () => client }),
    customHooksDirectory: '',
    lfs,
    observe: (hook) => {
      events.push(`begin ${hook}`);
      return (error) => events.push(error === undefined ? 'end' : `end: ${error}`);
    },
    onWarning: (message, error) => events.push(`warning: ${message}: ${error}`),
    scriptVariables: () => ({ FROM_CONFIGURATION: 'yes' }),
  });
  return {
    manager,
    repository,
    events,
    checks,
    pushes,
    call: ({ payload, ...options } = {}) => ({
      repository,
      payload: { ...PAYLOAD, ...payload },
      environment: {},
      pushOptions: ['ci.skip'],
      output: {
        stdout: async (bytes) => void events.push(`out ${Buffer.from(bytes)}`),
        stderr: async (bytes) => void events.push(`err ${Buffer.from(bytes)}`),
      },
      signal: new AbortController().signal,
      correlationId: 'cid',
      ...options,
    }),
    script: (hook, text) => {
      const path = join(repository.path, 'custom_hooks', hook);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, `#!/bin/sh\n${text}\n`);
      chmodSync(path, 0o755);
    },
    [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose](),
  };
}

/** The hooks with all that they need. */
const HOOKS = {
  'pre-receive': ({ manager }: Run, call: HookCall) => manager.preReceive(call, CHANGES),
  update: ({ manager }: Run, call: HookCall) => manager.update(call, UPDATE),
  'post-receive': ({ manager }: Run, call: HookCall) => manager.postReceive(call, CHANGES),
} as const;

test('before a push, GitLab decides, then the scripts, and then the push is announced', async () => {
  await using run = await start({ gitlab: {} });
  run.script(
    'pre-receive',
    'printf "$(cat) $GL_ID $GIT_PUSH_OPTION_0 $FROM_CONFIGURATION $GIT_CONFIG_GLOBAL"',
  );

  await run.manager.preReceive(run.call(), CHANGES);

  assert.deepEqual(run.events, [
    'begin pre-receive',
    'allowed',
    `out ${CHANGES.toString().trim()} user-1 ci.skip yes /dev/null`,
    'pre_receive project-1',
    'end',
  ]);
  assert.deepEqual(run.checks, [
    {
      glRepository: 'project-1',
      repositoryPath: run.repository.path,
      relativePath: 'x.git',
      objectDirectory: '',
      alternateObjectDirectories: undefined,
      glId: 'user-1',
      protocol: 'ssh',
      changes: CHANGES.toString(),
      pushOptions: ['ci.skip'],
      clientContext: Buffer.from('context'),
    },
  ]);
});

test('before GitLab decides, the rules of the repository and the files of Git LFS do', async () => {
  await using run = await start({ gitlab: {}, lfs: await openStore('mem://') });
  const { path } = run.repository;
  const oid = commitFiles(path, { 'a.bin': lfsPointer('a') });
  gitOutput(path, ['update-ref', '-d', 'refs/heads/main']);
  const setRules = (rules: string): Promise<void> =>
    writeSetting(run.repository, 'rules.json', Buffer.from(rules), { vote: undefined });
  const push = (): Promise<void> =>
    run.manager.preReceive(
      run.call({ isUnquarantined: true }),
      Buffer.from(`${ZERO} ${oid} refs/heads/new\n`),
    );

  await setRules('{"readOnly":[{}]}');
  await assert.rejects(push(), { name: 'RuleRefusal', message: /rule 1 of "readOnly"/ });
  await setRules('');
  await assert.rejects(push(), { name: 'RuleRefusal', message: /"a\.bin" \(/ });
  assert.deepEqual(run.checks, []);
});

test('after a push, GitLab is told, its messages are printed, and then the scripts run', async () => {
  const messages = [{ message: 'Create a merge request', type: 'basic' }];
  const postReceive = async () => ({ referenceCounterDecreased: true, messages });
  await using run = await start({ gitlab: { postReceive } });
  run.script('post-receive', 'printf "$(cat)"');

  await run.manager.postReceive(run.call(), CHANGES);

  assert.deepEqual(run.events, [
    'begin post-receive',
    'post_receive',
    'out \n',
    'out Create a merge request',
    'out \n\n',
    `out ${CHANGES.toString().trim()}`,
    'end',
  ]);
  assert.deepEqual(run.pushes, [
    {
      glRepository: 'project-1',
      glId: 'user-1',
      changes: CHANGES.toString(),
      pushOptions: ['ci.skip'],
      clientContext: Buffer.from('context'),
    },
  ]);
});

test('the update hook gets the reference and its values, and no push options', async () => {
  await using run = await start({});
  run.script('update', 'printf "$* options:$GIT_PUSH_OPTION_COUNT"; cat');

  await run.manager.update(run.call(), UPDATE);

  assert.deepEqual(run.events, ['begin update', `out refs/heads/new ${ZERO} ${OID} options:`, 'end']);
});

// The texts are recorded ones of Gitaly (test/golden/cases/hook.jsonl).
for (const [hook, payload, message] of [
  ['pre-receive', { user: undefined }, 'payload has no receive hooks info'],
  ['pre-receive', { user: { username: '', userId: '', protocol: 'ssh', remoteIp: '' } }, 'user ID not set'],
  [
    'pre-receive',
    { user: { username: '', userId: 'user-1', protocol: '', remoteIp: '' } },
    'protocol not set',
  ],
  ['update', { user: undefined }, 'payload has no receive hooks info'],
  ['post-receive', { user: undefined }, 'payload has no receive hooks info'],
  ['post-receive', { user: { username: '', userId: '', protocol: 'ssh', remoteIp: '' } }, 'user ID not set'],
] as const) {
  test(`${hook} is refused with ${message}`, async () => {
    await using run = await start({ gitlab: {} });
    run.script(hook, 'echo must not run');

    const refused = HOOKS[hook](run, run.call({ payload }));

    await assert.rejects(refused, { code: 'INTERNAL', message });
    assert.deepEqual(run.events, [`begin ${hook}`, `end: GitalyError: ${message}`]);
  });
}

test('a hook without changes, or with values that are none, is refused', async () => {
  await using run = await start({ gitlab: {} });
  const { manager } = run;
  const nothing = Buffer.alloc(0);
  const length = 'expected length 40, got 1';

  for (const [refused, message] of [
    [manager.preReceive(run.call(), nothing), 'hook got no reference updates'],
    [manager.postReceive(run.call(), nothing), 'hook got no reference updates'],
    [manager.update(run.call(), { ...UPDATE, reference: nothing }), 'hook got no reference'],
    [
      manager.update(run.call(), { ...UPDATE, oldValue: 'x' }),
      `hook got invalid old value: invalid object ID: "x", ${length}`,
    ],
    [
      manager.update(run.call(), { ...UPDATE, newValue: 'x' }),
      `hook got invalid new value: invalid object ID: "x", ${length}`,
    ],
  ] as const)
    await assert.rejects(refused, { code: 'INTERNAL', message });
});

test('only GitLab needs its name of the repository', async () => {
  for (const [gitlab, refusal] of [
    [{}, { code: 'INTERNAL', message: 'repository not set' }],
    [undefined, undefined],
  ] as const) {
    await using run = await start({ gitlab });
    const repository = Object.assign(Object.create(run.repository), { glRepository: '' });
    for (const hook of ['pre-receive', 'post-receive'] as const) {
      const called = HOOKS[hook](run, run.call({ repository }));
      if (refusal === undefined) await called;
      else await assert.rejects(called, refusal);
    }
  }
});

for (const [what, gitlab, expected] of [
  [
    'refuses it',
    { allowed: async () => ({ allowed: false, message: 'not yours' }) },
    { name: 'NotAllowedError', reason: 'not yours', userId: 'user-1', protocol: 'ssh', changes: CHANGES },
  ],
  [
    'cannot be asked',
    { allowed: () => Promise.reject(new Error('down')) },
    { name: 'NotAllowedError', reason: 'down', message: 'GitLab: down' },
  ],
  ['does not count it', { preReceive: async () => false }, { name: 'Error', message: '' }],
  [
    'fails to count it',
    { preReceive: () => Promise.reject(new Error('down')) },
    { message: 'calling pre_receive endpoint: down' },
  ],
] as const) {
  test(`a push is refused when GitLab ${what}`, async () => {
    await using run = await start({ gitlab });

    await assert.rejects(run.manager.preReceive(run.call(), CHANGES), (error: Error) => {
      const seen = Object.fromEntries(Object.keys(expected).map((key) => [key, Reflect.get(error, key)]));
      assert.deepEqual(seen, expected);
      assert.equal(error instanceof NotAllowedError, 'reason' in expected);
      return true;
    });
  });
}

test('scripts do not run when GitLab refuses, and a push is not announced when a script fails', async () => {
  const allowed = async () => ({ allowed: false, message: 'no' });
  await using refusing = await start({ gitlab: { allowed } });
  refusing.script('pre-receive', 'echo must not run');
  await assert.rejects(refusing.manager.preReceive(refusing.call(), CHANGES));
  assert.deepEqual(refusing.events.slice(1, -1), ['allowed']);

  await using run = await start({ gitlab: {} });
  run.script('pre-receive', 'exit 3');
  const script = `${run.repository.path}/custom_hooks/pre-receive`;
  await assert.rejects(run.manager.preReceive(run.call(), CHANGES), {
    message: `executing custom hooks: error executing "${script}": exit status 3`,
  });
  assert.deepEqual(run.events.slice(1, -1), ['allowed']);
});

for (const [what, postReceive, message] of [
  ['GitLab fails', () => Promise.reject(new Error('down')), 'GitLab: down'],
  ['GitLab does not count it', async () => ({ referenceCounterDecreased: false, messages: [] }), ''],
  [
    'a message has an unknown type',
    async () => ({ referenceCounterDecreased: true, messages: [{ message: 'x', type: 'odd' }] }),
    'error writing messages to stream: invalid message type: odd',
  ],
] as const) {
  test(`post-receive fails and runs no scripts when ${what}`, async () => {
    await using run = await start({ gitlab: { postReceive } });
    run.script('post-receive', 'echo must not run');

    await assert.rejects(run.manager.postReceive(run.call(), CHANGES), { message });
    assert.ok(run.events.every((event) => !event.includes('must not run')));
  });
}

for (const hook of ['pre-receive', 'update', 'post-receive'] as const) {
  test(`the nodes of a cluster wait in ${hook} for the one that runs it`, async () => {
    const vote = `vote synchronized ${sha1(`synchronize ${hook} hook`)}`;
    for (const [transaction, expected] of [
      [PRIMARY, ['out ran\n', vote]],
      [SECONDARY, [vote]],
    ] as const) {
      await using run = await start({});
      run.script(hook, 'echo ran');

      await HOOKS[hook](run, run.call({ payload: { transaction } }));

      const seen = run.events.filter((event) => event.startsWith('out') || event.startsWith('vote'));
      assert.deepEqual(seen, expected);
    }
  });
}

test('a refusal on the primary stops the vote of the others', async () => {
  await using run = await start({});
  run.script('update', 'exit 1');

  const refused = run.manager.update(run.call({ payload: { transaction: PRIMARY } }), UPDATE);

  await assert.rejects(refused, /exit status 1$/);
  assert.deepEqual(run.events.slice(1, -1), ['stop 7']);
});

test('a vote that cannot be stopped is a warning beside the refusal', async () => {
  await using run = await start({ voting: { stop: () => Promise.reject(new Error('gone')) } });
  run.script('update', 'exit 1');

  const refused = run.manager.update(run.call({ payload: { transaction: PRIMARY } }), UPDATE);

  await assert.rejects(refused, /exit status 1$/);
  assert.deepEqual(run.events.slice(1, -1), [
    'stop 7',
    'warning: failed stopping transaction in update hook: Error: gone',
  ]);
});

test('a lost vote refuses what the hook has accepted', async () => {
  await using run = await start({ voting: { vote: async () => 'abort' } });
  const call = run.call({ payload: { transaction: PRIMARY } });

  await assert.rejects(run.manager.update(call, UPDATE), {
    message: 'synchronizing update hook: vote failed: transaction was aborted',
  });
  await assert.rejects(run.manager.referenceTransaction(call, 'prepared', CHANGES), {
    message: 'error voting on transaction: transaction was aborted',
  });
});

test('only a change that a cluster votes on counts as a run of the reference-transaction hook', async () => {
  await using run = await start({});
  const { manager } = run;
  const call = run.call({ payload: { transaction: SECONDARY } });

  await manager.referenceTransaction(run.call(), 'prepared', CHANGES);
  await manager.referenceTransaction(call, 'aborted', CHANGES);
  assert.deepEqual(run.events, []);

  await manager.referenceTransaction(call, 'prepared', CHANGES);
  const vote = `vote prepared ${sha1(CHANGES.toString())}`;
  assert.deepEqual(run.events, ['begin reference-transaction', vote, 'end']);

  const odd = run.call({ payload: { objectFormat: 'md5' } });
  await assert.rejects(manager.referenceTransaction(odd, 'prepared', CHANGES), {
    message: 'looking up object hash: unknown object format: "md5"',
  });
  await assert.rejects(manager.update(odd, UPDATE), /unknown object format: "md5"$/);
});

test('the objects of a change are checked when there is a GitLab or a script before a push', async () => {
  await using connected = await start({ gitlab: {} });
  assert.equal(await connected.manager.needsObjectCheck(connected.repository), true);

  await using alone = await start({});
  assert.equal(await alone.manager.needsObjectCheck(alone.repository), false);
  alone.script('update', 'true');
  assert.equal(await alone.manager.needsObjectCheck(alone.repository), false);
  alone.script('pre-receive', 'true');
  assert.equal(await alone.manager.needsObjectCheck(alone.repository), true);
});
