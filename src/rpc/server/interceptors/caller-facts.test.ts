import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { CommitService } from '#wire/gen/commit_pb';
import { SSHService } from '#wire/gen/ssh_pb';
import { methodInfo } from '#wire/method-info';
import {
  addCallerFacts,
  addMethodFacts,
  addTargetFacts,
  collectFacts,
  deadlineType,
} from './caller-facts.ts';

const caller = (headers: Record<string, string>, deadlineMs?: number) =>
  collectFacts((facts) => addCallerFacts(facts, { headers: Metadata.from(headers), deadlineMs }));

test('a caller is described by its headers', () => {
  const headers = {
    call_site: 'site',
    deadline_type: 'limited',
    authorization: 'Bearer x',
    remote_ip: '10.0.0.1',
    user_id: '7',
    username: 'jane',
  };

  assert.deepEqual(caller({ ...headers, 'x-gitlab-client-name': 'web', client_name: 'old' }, 1), {
    'grpc.meta.client_name': 'web',
    'grpc.meta.call_site': 'site',
    'grpc.meta.deadline_type': 'limited',
    'grpc.meta.auth_version': 'v2',
    remote_ip: '10.0.0.1',
    user_id: '7',
    username: 'jane',
  });
});

test('older clients have another header for their name, and empty headers say nothing', () => {
  assert.deepEqual(caller({ client_name: 'old' }), {
    'grpc.meta.client_name': 'old',
    'grpc.meta.deadline_type': 'none',
  });
  const empty = { 'x-gitlab-client-name': '', call_site: '', deadline_type: '', remote_ip: '', user_id: '' };
  assert.deepEqual(caller({ ...empty, username: '' }, 1), {});
});

test('the kind of a deadline is what the client says, if there is one', () => {
  assert.deepEqual(
    [deadlineType('regular', 1), deadlineType('regular', undefined), deadlineType(undefined, 1)],
    ['regular', 'none', undefined],
  );
});

test('a method is described by its name, its kind and what it does', () => {
  const known = methodInfo(CommitService.method.findCommit);
  const facts = {
    'grpc.request.fullMethod': '/gitaly.CommitService/FindCommit',
    'grpc.meta.method_operation': 'accessor',
    'grpc.meta.method_scope': 'repository',
  };
  assert.deepEqual(
    collectFacts((to) => addMethodFacts(to, known)),
    { ...facts, 'grpc.meta.method_type': 'unary' },
  );
  assert.deepEqual(
    collectFacts((to) => addMethodFacts(to, known, 'bidi_stream')),
    { ...facts, 'grpc.meta.method_type': 'bidi_stream' },
  );
  const unknown = { ...methodInfo(SSHService.method.sSHReceivePack), operation: 'unknown' } as const;
  assert.deepEqual(Object.keys(collectFacts((to) => addMethodFacts(to, unknown))), [
    'grpc.request.fullMethod',
    'grpc.meta.method_type',
  ]);
});

test('targets are described by all their names, and a partition by those it has', () => {
  const named = { storageName: 's', relativePath: 'x.git', glRepository: '', glProjectPath: 'g/p' };
  const of = (targets: Parameters<typeof addTargetFacts>[1]['targets']) =>
    collectFacts((facts) => addTargetFacts(facts, { targets }));
  const none = { repository: undefined, pool: undefined, storageName: undefined, partitionId: undefined };

  assert.deepEqual(of({ ...none, repository: named }), {
    'grpc.request.repoStorage': 's',
    'grpc.request.repoPath': 'x.git',
    'grpc.request.glRepository': '',
    'grpc.request.glProjectPath': 'g/p',
  });
  assert.deepEqual(of({ ...none, pool: named }), {
    'grpc.request.pool.storage': 's',
    'grpc.request.pool.relativePath': 'x.git',
    'grpc.request.pool.sourceProjectPath': 'g/p',
  });
  assert.deepEqual(of({ ...none, storageName: 's', partitionId: '7' }), {
    'grpc.request.StorageName': 's',
    'grpc.request.partition_id': '7',
  });
  assert.deepEqual([of({ ...none, storageName: '', partitionId: '' }), of(undefined)], [{}, {}]);
});
