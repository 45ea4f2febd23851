import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { flagCombinations } from '#testkit/flag-combinations';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const source = { storageName: 'default', relativePath: 'source.git' };
const target = { storageName: 'default', relativePath: 'target.git' };
const bytes = (text: string) => Buffer.from(text);

function pathOf(gitaly: TestGitaly, { relativePath }: { relativePath: string }): string {
  return join(gitaly.storagePath(), relativePath);
}

function fetchInto(gitaly: TestGitaly, request: { targetRef: string; sourceBranch?: string; old?: string }) {
  const servers = { default: { address: gitaly.address, token: '' } };
  return gitaly.connection.repository.fetchSourceBranch(
    {
      repository: target,
      sourceRepository: source,
      sourceBranch: bytes(request.sourceBranch ?? 'refs/heads/main'),
      targetRef: bytes(request.targetRef),
      expectedTargetOldOid: request.old ?? '',
    },
    { metadata: { 'gitaly-servers': Buffer.from(JSON.stringify(servers)).toString('base64') } },
  );
}

const repository = { storageName: 'default', relativePath: 'here.git' };

interface Scene extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly here: string;
  readonly there: string;
  fetch(options?: object): Promise<{ tagsChanged: boolean; repoChanged: boolean }>;
  references(): string;
}

async function scene(objectFormat: 'sha1' | 'sha256' = 'sha1'): Promise<Scene> {
  const gitaly = await startGitaly();
  const [here, there] = ['here.git', 'there.git'].map((name) => join(gitaly.storagePath(), name));
  assert.ok(here !== undefined && there !== undefined);
  initRepository(here, { objectFormat });
  initRepository(there, { commits: 2, objectFormat });
  const web = await startGitHttpServer(gitaly.storagePath());
  return {
    gitaly,
    here,
    there,
    async fetch(options = {}) {
      const remoteParams = { url: `${web.url}/r/there.git` };
      const { tagsChanged, repoChanged } = await gitaly.connection.repository.fetchRemote({
        repository,
        remoteParams,
        checkTagsChanged: true,
        ...options,
      });
      return { tagsChanged, repoChanged };
    },
    references: () => gitOutput(here, ['for-each-ref', '--format=%(objectname) %(refname)']),
    async [Symbol.asyncDispose]() {
      await web[Symbol.asyncDispose]();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}

function referencesOf(path: string): string {
  return gitOutput(path, ['for-each-ref', '--format=%(objectname) %(refname)']);
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`the commit of a branch of another ${objectFormat} repository gets a reference`, async () => {
    await using gitaly = await startGitaly();
    const [there, here] = [pathOf(gitaly, source), pathOf(gitaly, target)];
    initRepository(there, { commits: 3, objectFormat });
    initRepository(here, { commits: 1, objectFormat });
    const tip = gitOutput(there, ['rev-parse', 'main']);

    const first = await fetchInto(gitaly, { targetRef: 'refs/merge-requests/1/head' });
    addCommit(there, 4);
    const second = await fetchInto(gitaly, { targetRef: 'refs/merge-requests/1/head', old: tip });
    const unknown = await fetchInto(gitaly, { targetRef: 'refs/heads/x', sourceBranch: 'refs/heads/none' });

    assert.deepEqual([first.result, second.result, unknown.result], [true, true, false]);
    const refs = gitOutput(here, ['for-each-ref', '--format=%(refname)']);
    assert.equal(refs, 'refs/heads/main\nrefs/merge-requests/1/head');
    assert.equal(
      gitOutput(here, ['rev-parse', 'refs/merge-requests/1/head']),
      gitOutput(there, ['rev-parse', 'main']),
    );
    gitOutput(here, ['fsck', '--strict']);
  });
}

test('a reference with another value than expected stays', async () => {
  await using gitaly = await startGitaly();
  initRepository(pathOf(gitaly, source), { commits: 3 });
  const here = pathOf(gitaly, target);
  initRepository(here, { commits: 1 });
  const before = gitOutput(here, ['rev-parse', 'main']);

  const fetching = fetchInto(gitaly, { targetRef: 'refs/heads/main', old: '1'.repeat(40) });

  await assert.rejects(fetching, {
    code: 'INTERNAL',
    message: 'commit: reference does not point to expected object',
  });
  assert.equal(gitOutput(here, ['rev-parse', 'main']), before);
});

for (const targetRef of ['config', 'shallow', 'packed-refs', 'objects/info/alternates', 'Config']) {
  test(`a reference is not written over the file ${targetRef} of a repository`, async () => {
    await using gitaly = await startGitaly();
    initRepository(pathOf(gitaly, source), { commits: 3 });
    const here = pathOf(gitaly, target);
    initRepository(here, { commits: 1 });
    const config = readFileSync(join(here, 'config'), 'utf8');

    const fetching = fetchInto(gitaly, { targetRef });

    await assert.rejects(fetching, { code: 'INTERNAL', message: 'commit: invalid reference format' });
    assert.equal(readFileSync(join(here, 'config'), 'utf8'), config);
    gitOutput(here, ['fsck', '--strict']);
  });
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a ${objectFormat} repository follows its remote`, async () => {
    await using stage = await scene(objectFormat);
    assert.deepEqual(await stage.fetch(), { tagsChanged: false, repoChanged: true });
    assert.equal(stage.references(), referencesOf(stage.there));
    assert.deepEqual(await stage.fetch(), { tagsChanged: false, repoChanged: false });

    addCommit(stage.there, 3);
    gitOutput(stage.there, ['tag', 'v1']);
    gitOutput(stage.here, ['update-ref', 'refs/heads/only/here', 'main']);
    assert.deepEqual(await stage.fetch(), { tagsChanged: true, repoChanged: true });
    assert.equal(stage.references(), referencesOf(stage.there));
    gitOutput(stage.here, ['fsck', '--strict']);
  });
}

test('a reference that would lose commits stays without force, all others follow', async () => {
  await using stage = await scene();
  await stage.fetch();
  addCommit(stage.here, 2);
  const ours = gitOutput(stage.here, ['commit-tree', '-m', 'ours', 'main^{tree}']);
  gitOutput(stage.here, ['update-ref', 'refs/heads/main', ours]);
  gitOutput(stage.there, ['branch', 'other', 'main~1']);

  assert.equal((await stage.fetch()).repoChanged, true);
  assert.equal(gitOutput(stage.here, ['rev-parse', 'main']), ours);
  assert.equal(gitOutput(stage.here, ['rev-parse', 'other']), gitOutput(stage.there, ['rev-parse', 'other']));

  assert.equal((await stage.fetch({ force: true })).repoChanged, true);
  assert.equal(stage.references(), referencesOf(stage.there));
});

test('nothing changes, and nothing is left, when a reference is in the way or locked', async () => {
  await using stage = await scene();
  gitOutput(stage.there, ['branch', 'dir/x']);
  initRepository(stage.here, { commits: 1 });
  gitOutput(stage.here, ['update-ref', 'refs/heads/dir', 'main']);
  const before = stage.references();

  await assert.rejects(stage.fetch({ noPrune: true, force: true }), {
    code: 'INTERNAL',
    message: 'preparing reference update: file directory conflict',
  });

  assert.equal(stage.references(), before);
  assert.deepEqual(readdirSync(join(stage.gitaly.storagePath(), '+gitaly/tmp')), []);
  assert.equal((await stage.fetch({ force: true })).repoChanged, true);
  assert.equal(stage.references(), referencesOf(stage.there));
});

for (const flags of flagCombinations('fetch_remote_proactive_auth')) {
  test(`the first request has the password of the URL only with the flag: ${flags.name}`, async () => {
    await using stage = await scene();
    await using web = await startGitHttpServer(stage.gitaly.storagePath());
    const url = `${web.url.replace('http://', 'http://user:pass@')}/r/there.git`;
    const { repository: service } = stage.gitaly.connection;

    await service.fetchRemote({ repository, remoteParams: { url } }, flags.options);

    const isSent = flags.isEnabled('fetch_remote_proactive_auth');
    assert.equal(web.calls[0]?.authorization, isSent ? 'Basic dXNlcjpwYXNz' : undefined);
  });
}

test('a refmap with the name of a property of all objects is a refspec like others', async () => {
  await using stage = await scene();
  const remoteParams = { url: stage.there, mirrorRefmaps: ['toString'] };

  await assert.rejects(stage.fetch({ remoteParams }), {
    code: 'INTERNAL',
    message: /couldn't find remote ref toString/,
  });
});

test('a call that takes too long ends', async () => {
  await using stage = await scene();
  await using slow = await startGitHttpServer(stage.gitaly.storagePath());
  slow.reset({}, { '/slow/info/refs?service=git-upload-pack': () => {} });

  await assert.rejects(stage.fetch({ timeout: 1, remoteParams: { url: `${slow.url}/slow` } }), {
    code: 'INTERNAL',
    message: 'fetch remote: signal: killed: context deadline exceeded',
  });
  assert.equal(stage.references(), '');
});

test('a call may have the longest time that its request can state', async () => {
  await using stage = await scene();

  await stage.fetch({ timeout: 2 ** 31 - 1 });

  assert.notEqual(stage.references(), '');
});

test('a call that its client gives up says so', async () => {
  await using stage = await scene();
  await using slow = await startGitHttpServer(stage.gitaly.storagePath());
  slow.reset({}, { '/slow/info/refs?service=git-upload-pack': () => {} });
  const client = new AbortController();
  const { repository: service } = stage.gitaly.connection;
  const request = { repository, remoteParams: { url: `${slow.url}/slow` } };
  const call = service.fetchRemote(request, { signal: client.signal });
  await until(() => slow.calls.length > 0);

  client.abort();

  await assert.rejects(call);
  const logged = () => stage.gitaly.log.find((line) => line['grpc.method'] === 'FetchRemote');
  await until(() => logged() !== undefined);
  assert.equal(logged()?.error, 'fetch remote: signal: killed: context canceled');
  assert.equal(stage.references(), '');
});

for (const url of ['ext::sh -c "touch evil"', 'fd::7'])
  test(`${url} starts no program`, async () => {
    await using stage = await scene();

    await assert.rejects(stage.fetch({ remoteParams: { url } }), {
      code: 'INTERNAL',
      message: /not allowed/,
    });

    assert.equal(existsSync('evil'), false);
  });
