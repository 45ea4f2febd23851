import { Writable } from 'node:stream';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { addCommit, gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const TOKEN = 'secret';
/** The metadata and the target of the calls whose log lines were recorded. */
const CALL = {
  correlationId: 'cid-1',
  timeoutMs: 30_000,
  metadata: {
    'x-gitlab-client-name': 'gitlab-web',
    call_site: 'test',
    remote_ip: '127.0.0.1',
    user_id: 'user-1',
    username: 'u',
  },
};
const repository = {
  storageName: 'default',
  relativePath: 'ref-write.git',
  glRepository: 'project-1',
  glProjectPath: 'g/p',
};

/** Starts a server with a token, metrics and one repository. */
export async function startObserved(): Promise<TestGitaly & { oid: string }> {
  const gitaly = await startGitaly({
    token: TOKEN,
    tcp: true,
    config: { prometheus_listen_addr: '127.0.0.1:0' },
  });
  const path = `${gitaly.storagePath()}/${repository.relativePath}`;
  initRepository(path);
  const oid = addCommit(path);
  gitOutput(path, ['tag', '-m', 'a tag', 'v1', oid]);
  return Object.assign(gitaly, { oid });
}

/**
 * Makes each call of the recorded log lines, and those that the recorded metrics need: reads with
 * and without an object reader, changes, refusals, both kinds of fetches, a shallow one.
 */
export async function makeCalls({ address, connection, oid }: TestGitaly & { oid: string }): Promise<void> {
  const { commit, ref, repository: repositories, operation, server, smartHttp } = connection;
  await server.serverInfo({}, CALL);
  for await (const _ of ref.findAllTags({ repository }, CALL));
  for await (const _ of ref.findAllBranches({ repository }, CALL));
  // Not read in process, so the line has the fields of cat-file.
  await commit.findCommit({ repository, revision: Buffer.from(`${oid}~0`) }, CALL);
  await commit.findCommit({ repository, revision: Buffer.from('-x') }, CALL).catch(() => undefined);
  await commit
    .findCommit({ repository: { ...repository, relativePath: 'none.git' }, revision: Buffer.from('x') }, CALL)
    .catch(() => undefined);
  for await (const _ of commit.listCommitsByOid({ repository, oid: [oid] }, CALL));
  await repositories.repositorySize({ repository }, CALL);
  await repositories.optimizeRepository({ repository }, CALL).catch(() => undefined);
  for (let time = 0; time < 2; time++)
    for await (const _ of smartHttp.infoRefsUploadPack({ repository }, CALL));
  await operation.userCreateBranch(
    {
      repository,
      branchName: Buffer.from('new'),
      startPoint: Buffer.from('main'),
      user: { glId: 'user-1', glUsername: 'u', name: Buffer.from('U'), email: Buffer.from('u@example.com') },
    },
    CALL,
  );
  await fetchShallow({ address, oid });
  // Only git resolves a short id.
  const entry = { repository, revision: Buffer.from(oid.slice(0, 12)), path: Buffer.from('none') };
  await Array.fromAsync(commit.treeEntry(entry, CALL)).catch(() => undefined);
}

/** Makes a shallow fetch of one commit. */
export async function fetchShallow({
  address,
  oid,
}: {
  readonly address: string;
  readonly oid: string;
}): Promise<void> {
  const registry = new SidechannelRegistry();
  await using multiplexed = await dialSidechannel(address, registry, { token: TOKEN });
  const stdin = [
    packet('command=fetch'),
    '0001',
    packet('deepen 1'),
    packet(`want ${oid}\n`),
    packet('done\n'),
    FLUSH,
  ];
  await postUploadPack(
    multiplexed,
    registry,
    {
      stdin: (async function* () {
        yield Buffer.from(stdin.join(''));
      })(),
      stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    },
    { repository, gitProtocol: 'version=2' },
  );
}

/** Returns the text of `/metrics`. */
export async function metricsOf(gitaly: TestGitaly): Promise<string> {
  const address = String(gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address);
  return await (await fetch(`http://${address}/metrics`)).text();
}
