import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DescMethod } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { CleanupService } from '#wire/gen/cleanup_pb';
import { CommitService } from '#wire/gen/commit_pb';
import { HookService } from '#wire/gen/hook_pb';
import { RefService } from '#wire/gen/ref_pb';
import { RemoteService } from '#wire/gen/remote_pb';
import { RepositoryService } from '#wire/gen/repository_pb';
import { ServerService } from '#wire/gen/server_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { methodInfo } from '#wire/method-info';
import type { RequestTarget } from '../named-targets.ts';
import type { ServerCall, ServerInterceptor } from '../server-call.ts';
import { invalidateCaches } from './cache-invalidation.ts';
import { scheduleMaintenance } from './schedule-maintenance.ts';

const REPOSITORY: RequestTarget = {
  storageName: 'default',
  relativePath: 'x.git',
  glRepository: '',
  glProjectPath: '',
};

interface CallOptions {
  readonly transport?: 'tcp' | 'internal';
  readonly repository?: RequestTarget | undefined;
  readonly failure?: unknown;
  /** The request is refused by another stage before this one sees it. */
  readonly isRefused?: boolean;
}

/** Runs the stage of one call. */
async function run(intercept: ServerInterceptor, desc: DescMethod, options: CallOptions = {}): Promise<void> {
  const { transport = 'tcp', repository = REPOSITORY, failure, isRefused = false } = options;
  const targets = 'repository' in options ? undefined : { repository };
  // The stages use no other fields.
  const call = { method: methodInfo(desc), peer: { transport }, targets } as ServerCall;
  const stage = await intercept(call);
  if (!isRefused) await stage?.request?.(call);
  await stage?.end?.(call, failure);
}

/** Records what it is notified of. */
function scheduler(isRunning = false) {
  const events: string[] = [];
  const intercept = scheduleMaintenance({
    isRunning: () => isRunning,
    afterWrite: ({ relativePath }, { force }) => events.push(`write ${relativePath}${force ? ' all' : ''}`),
    onRead: ({ relativePath }) => events.push(`read ${relativePath}`),
  });
  return { events, intercept };
}

const refused = (code: 'FAILED_PRECONDITION' | 'RESOURCE_EXHAUSTED' | 'PERMISSION_DENIED' | 'INTERNAL') =>
  new GitalyError(code, 'no');

for (const [what, method, options, expected] of [
  ['a read', CommitService.method.findCommit, {}, ['read x.git']],
  ['a read without a repository', CommitService.method.findCommit, { repository: undefined }, []],
  ['a write', RefService.method.deleteRefs, {}, ['write x.git']],
  ['a rewritten history', CleanupService.method.rewriteHistory, {}, ['write x.git all']],
  ['a removal', RepositoryService.method.removeRepository, {}, []],
  [
    'a write that may have failed half way',
    RefService.method.deleteRefs,
    { failure: refused('INTERNAL') },
    ['write x.git'],
  ],
  ['an exception', RefService.method.deleteRefs, { failure: new Error('x') }, ['write x.git']],
  ['a refused write', RefService.method.deleteRefs, { failure: refused('FAILED_PRECONDITION') }, []],
  ['a limited write', RefService.method.deleteRefs, { failure: refused('RESOURCE_EXHAUSTED') }, []],
  ['a forbidden write', RefService.method.deleteRefs, { failure: refused('PERMISSION_DENIED') }, []],
  ['a write whose request is refused', RefService.method.deleteRefs, { isRefused: true }, []],
  ['a push', SSHService.method.sSHReceivePack, {}, ['write x.git']],
  ['a push that broke off', SSHService.method.sSHReceivePack, { failure: refused('INTERNAL') }, []],
  ['a hook of a push', HookService.method.preReceiveHook, { transport: 'internal' }, []],
  ['a write of a hook', RefService.method.deleteRefs, { transport: 'internal' }, []],
  ['maintenance', RepositoryService.method.optimizeRepository, {}, []],
  ['a call about the server', ServerService.method.serverInfo, {}, []],
] as const) {
  test(`maintenance is due after ${what}: ${expected.join() || 'no'}`, async () => {
    const { events, intercept } = scheduler();

    await run(intercept, method, options);

    assert.deepEqual(events, expected);
  });
}

test('a repository is maintained by one call at a time', async () => {
  const { optimizeRepository } = RepositoryService.method;
  const { intercept } = scheduler(true);

  await assert.rejects(run(intercept, optimizeRepository), {
    code: 'ALREADY_EXISTS',
    message: 'housekeeping already executing for repository',
  });
  await run(intercept, optimizeRepository, { repository: undefined });
  await run(intercept, RefService.method.deleteRefs);
});

test('caches are invalid from the request of a change to its end', async () => {
  const events: string[] = [];
  const intercept = invalidateCaches({
    beginChange: async ({ relativePath }, { name }) => {
      events.push(`begin ${name} ${relativePath}`);
      return async () => void events.push('end');
    },
    onCall: (operation) => events.push(operation),
  });

  await run(intercept, RefService.method.deleteRefs);
  await run(intercept, RefService.method.deleteRefs, { isRefused: true });
  await run(intercept, RefService.method.deleteRefs, { repository: undefined });
  await run(intercept, CommitService.method.findCommit);
  await run(intercept, RepositoryService.method.optimizeRepository);
  await run(intercept, RemoteService.method.findRemoteRepository);

  assert.deepEqual(events, [
    'mutator',
    'begin DeleteRefs x.git',
    'end',
    'mutator',
    'mutator',
    'accessor',
    'maintenance',
    'accessor',
  ]);
});

test('the mark of a change that is made after the call was failed ends as well', async () => {
  const marked = Promise.withResolvers<() => Promise<void>>();
  let isEnded = false;
  const intercept = invalidateCaches({ beginChange: () => marked.promise });
  const call = {
    method: methodInfo(RefService.method.deleteRefs),
    peer: { transport: 'tcp' },
    targets: { repository: REPOSITORY },
  } as ServerCall; // the stage uses no other fields
  const stage = await intercept(call);
  const begun = stage?.request?.(call);

  await stage?.end?.(call, refused('INTERNAL'));
  marked.resolve(async () => {
    isEnded = true;
  });
  await begun;

  assert.equal(isEnded, true);
});
