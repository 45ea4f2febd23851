import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { openDescriptors } from '#testkit/measure/process-usage';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { seededShare } from '#testkit/seeded-share';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import {
  type Conversation,
  ofMetrics,
  overHttp2,
  overSidechannel,
  overTls,
  type Subject,
  withVotes,
} from './conversations.ts';
import { type Cut, CuttingProxy, type Place } from './cutting-proxy.ts';

/** Cuts in each direction of a conversation, in addition to those in its first bytes. */
const EVEN_CUTS = 10;
/** In the preface of HTTP/2, the first frame, the magic of a multiplexed connection. */
const FIRST_BYTES = [0, 1, 11, 24, 30, 50];
/** Share of the cuts that `npm test` tries. */
const SHARE = 0.08;
/** Descriptors of a server that has served calls: threads, caches, its own sockets. */
const OWN_DESCRIPTORS = 12;
/** Log lines about errors and exceptions without an owner. */
const UNOWNED = /grpc panic|nothing was listening for|uncaught exception/;

function makeRepository(path: string): Subject {
  initRepository(path);
  const big = gitOutput(
    path,
    ['hash-object', '-w', '--stdin'],
    Buffer.alloc(1_500_000, 'pseudo random 7919'),
  );
  const tree = gitOutput(path, ['mktree'], `100644 blob ${big}\tbig\n`);
  const oid = gitOutput(path, ['commit-tree', '-m', 'one', tree]);
  gitOutput(path, ['update-ref', 'refs/heads/main', oid]);
  return { relativePath: 'x.git', mainOid: oid, bigBlobOid: big };
}

/** The cuts of a conversation: in its first bytes, evenly in all of it, and at its very end. */
function cutsOf(total: Readonly<Record<Cut['direction'], number>>): Cut[] {
  return (['to server', 'to client'] as const).flatMap((direction) => {
    const last = total[direction];
    const even = Array.from({ length: EVEN_CUTS }, (_, index) =>
      Math.floor((last * (index + 1)) / (EVEN_CUTS + 1)),
    );
    const first = FIRST_BYTES.filter((bytes) => bytes < last && (direction === 'to server' || bytes > 0));
    const all = [...new Set([...first, ...even, last - 1, last])].filter((bytes) => bytes >= 0);
    return all.flatMap((bytes) => (['fin', 'rst'] as const).map((how): Cut => ({ direction, bytes, how })));
  });
}

/** Has a conversation once as a whole, and once for each cut. */
async function cutEverywhere(place: Place, converse: Conversation, subject: Subject): Promise<number> {
  await using proxy = await CuttingProxy.start(place);
  await converse(proxy.place, subject, proxy.arm(undefined));
  const cuts = seededShare(cutsOf(proxy.traffic), SHARE);
  for (const cut of cuts) {
    // Whether the client fails is its own affair.
    await converse(proxy.place, subject, proxy.arm(cut)).catch(() => {});
  }
  return cuts.length;
}

test('gRPC clients that are cut off at any byte leave the server as it was', async (t) => {
  await using gitaly = await startGitalyProcess({ everyListener: true });
  const subject = makeRepository(join(gitaly.directory, 'default/x.git'));
  const connection = await gitaly.connect();
  const before = openDescriptors(gitaly.pid);
  const unix = gitaly.address;

  for (const [name, place, converse] of [
    ['unix socket', unix, overHttp2],
    ['TCP', gitaly.tcp, overHttp2],
    ['TLS', gitaly.tls, overTls],
    ['internal socket', gitaly.internalAddress, overHttp2],
    ['sidechannel', unix, overSidechannel],
    ['sidechannel over TCP', gitaly.tcp, overSidechannel],
    ['votes', gitaly.tcp, withVotes],
    ['monitoring', gitaly.monitoring, ofMetrics],
  ] as const) {
    await t.test(name, async (each) => {
      const cuts = await cutEverywhere(place ?? '', converse, subject);

      each.diagnostic(`${cuts} cuts`);
      const { commit } = await connection.commit.findCommit({
        repository: { storageName: 'default', relativePath: 'x.git' },
        revision: Buffer.from('main'),
      });
      assert.equal(commit?.id, subject.mainOid);
      assert.doesNotMatch(gitaly.log(), UNOWNED);
    });
  }

  await until(() => openDescriptors(gitaly.pid) <= before + OWN_DESCRIPTORS);
  gitaly.kill('SIGTERM');
  assert.equal(await gitaly.exited, 0);
});

test('git clients that are cut off at any byte leave the gateways as they were', {
  skip: NO_OPENSSH,
}, async (t) => {
  const directory = makeScratchDirectory('cut');
  const args = [
    ...programCommand('gitaly-ts'),
    'up',
    join(directory, 'up'),
    '--http',
    '127.0.0.1:0',
    '--ssh',
    '127.0.0.1:0',
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (printed += chunk));
  try {
    await until(() => printed.includes('Ctrl-C'));
    const http = /http:\/\/(\S+:\d+)/.exec(printed)?.[1] ?? '';
    const ssh = /ssh:\/\/\S*?([\d.]+:\d+)/.exec(printed)?.[1] ?? '';
    const subject = makeRepository(join(directory, 'up/repositories/x.git'));
    const before = openDescriptors(child.pid ?? 0);
    const clone = `${directory}/clone`;
    const client = join(directory, 'client');
    mkdirSync(client);
    const hostKeyPath = join(directory, 'up/ssh_host_ed25519_key');
    const environmentOf = async (place: Place): Promise<Record<string, string | undefined>> => {
      const gateway = { host: '127.0.0.1', port: Number(place.split(':')[1]) };
      return gitOverSsh(await sshArguments({ directory: client, gateway, hostKeyPath }));
    };
    const cloneAndPush =
      (url: (place: Place) => string): Conversation =>
      async (place) => {
        rmSync(clone, { recursive: true, force: true });
        const env = await environmentOf(place);
        await runGit(['clone', '-q', '--bare', url(place), clone], { env });
        await runGit(['-C', clone, 'push', '-q', '-f', 'origin', 'main:pushed'], { env });
      };
    for (const [name, place, converse] of [
      ['HTTP', http, cloneAndPush((at) => `http://${at}/x.git`)],
      ['SSH', ssh, cloneAndPush((at) => `ssh://git@${at}/x.git`)],
    ] as const) {
      await t.test(name, async (each) => {
        const cuts = await cutEverywhere(place, converse, subject);

        each.diagnostic(`${cuts} cuts`);
        assert.equal(child.exitCode, null, printed);
        assert.doesNotMatch(printed, UNOWNED);
        assert.match(await runGit(['ls-remote', `http://${http}/x.git`]), /refs\/heads\/main/);
      });
    }
    await until(() => openDescriptors(child.pid ?? 0) <= before + OWN_DESCRIPTORS);
    child.kill('SIGTERM');
    assert.equal((await exited)[0], 0, printed);
  } finally {
    child.kill('SIGKILL');
    await exited;
    rmSync(directory, { recursive: true, force: true });
  }
});
