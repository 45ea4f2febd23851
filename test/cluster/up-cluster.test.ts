import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dial } from '#client/index';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { programCommand } from '#testkit/programs/program-command';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { type RunResult, run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutOwnPostgres as skip, startPostgres } from '#testkit/servers/start-postgres';
import { CACHED, startUpCluster, type UpClusterOutput } from '#testkit/servers/start-up-cluster';
import { until } from '#testkit/until';
import { SECRET, startReceiver } from '../events/webhook-receiver.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Limit for copies to a node. */
const COMPLETE_MS = 60_000;
const gitalyTs = (...args: string[]): Promise<RunResult> =>
  run(process.execPath, [...programCommand('gitaly-ts'), ...args], { cwd: ROOT, env: CACHED });

/** A directory that every user may enter: root runs PostgreSQL as another one. */
async function inTemporaryDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = makeScratchDirectory('up-cluster');
  chmodSync(directory, 0o711);
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Returns the nodes on which a repository has a commit as `main`. */
function nodesWith({ cluster }: UpClusterOutput, commit: string): string[] {
  return cluster.nodes
    .filter(({ path }) =>
      globSync('@cluster/repositories/*/*/*', { cwd: path }).some(
        (each) => gitOutput(join(path, each), ['for-each-ref', '--format=%(objectname)']) === commit,
      ),
    )
    .map(({ name }) => name);
}

/** Waits until every replica of every repository is up to date, on a healthy node. */
function untilComplete({ directory }: UpClusterOutput): Promise<void> {
  const isComplete = async (): Promise<boolean> =>
    (await gitalyTs('cluster', 'status', directory)).code === 0;
  return until(isComplete, 'every replica is up to date', COMPLETE_MS);
}

/** Returns the events of a repository, up to the one with a new value. */
async function eventsOf({ http }: UpClusterOutput, path: string, newest: string): Promise<string[]> {
  const response = await fetch(`${http}/-/events?path=${path}`);
  let text = '';
  for await (const bytes of response.body ?? []) {
    text += Buffer.from(bytes).toString();
    if (text.includes(`"new_value":"${newest}"`)) break;
  }
  return text.split('\n\n').filter((block) => block.includes('data: '));
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const pidsOf = ({ cluster: { nodes, postgres, praefect } }: UpClusterOutput): number[] => [
  ...nodes.map(({ pid }) => pid),
  postgres,
  praefect,
];

async function commitIn(clone: string, message: string): Promise<string> {
  await runGit(['-C', clone, 'commit', '-q', '--allow-empty', '-m', message]);
  return await runGit(['-C', clone, 'rev-parse', 'HEAD']);
}

test('up --cluster serves, loses a node, is killed, and goes on with its data', {
  skip,
}, async (context) => {
  const receiver = await startReceiver(context);
  await inTemporaryDirectory(async (directory) => {
    const secret = join(directory, 'secret');
    writeFileSync(secret, SECRET);
    const data = join(directory, 'data');
    const clone = join(directory, 'clone');
    const push = (url: string) =>
      runGit(['-C', clone, 'push', '-q', `${url}/new.git`, 'HEAD:refs/heads/main']);
    const all = ['gitaly-1', 'gitaly-2', 'gitaly-3'];
    let newest: string;
    let killed: number[];
    {
      const hook = ['--webhook', receiver.url, '--webhook-secret-file', secret, '--webhook-private'];
      await using first = await startUpCluster(data, '--cluster', '3', ...hook, '--ssh', '127.0.0.1:0');
      const { report } = first;
      await runGit(['clone', '-q', `${report.http}/hello.git`, clone]);
      await commitIn(clone, 'first');
      await push(report.http);
      if (NO_OPENSSH === false) {
        const [host = '', port] = report.ssh.replace('ssh://git@', '').split(':');
        const hostKeyPath = join(data, 'ssh_host_ed25519_key');
        const gateway = { host, port: Number(port) };
        const ssh = { env: gitOverSsh(await sshArguments({ directory, gateway, hostKeyPath })) };
        newest = await commitIn(clone, 'second');
        await runGit(['-C', clone, 'push', '-q', `${report.ssh}/new.git`, 'HEAD:main'], ssh);
        await runGit(['clone', '-q', `${report.ssh}/new.git`, join(directory, 'by-ssh')], ssh);
        assert.deepEqual(nodesWith(report, newest), all);
      }

      const lost = report.cluster.nodes[1]?.pid ?? 0;
      process.kill(lost, 'SIGKILL');
      newest = await commitIn(clone, 'after the loss');
      await until(
        () =>
          push(report.http).then(
            () => true,
            () => false,
          ),
        'a push without a node',
      );
      await until(() => first.notes().includes('gitaly-2 restarted (process '), first.notes);
      await untilComplete(report);
      assert.deepEqual(nodesWith(report, newest), all);
      assert.ok((await eventsOf(report, 'new.git', newest)).length > 2);
      await until(() => receiver.events.some(({ new_value }) => new_value === newest), 'the webhook');
      const shownWebhooks = await fetch(`${report.http}/-/console/webhooks?format=json`);
      const { webhooks } = (await shownWebhooks.json()) as { webhooks: Record<string, unknown>[] };
      assert.deepEqual(
        webhooks.map(({ dead_letters, name, storage }) => [name, storage, dead_letters]),
        [['up', 'default', []]],
      );
      assert.ok(Number(webhooks[0]?.delivered) > 0, JSON.stringify(webhooks));
      const { virtual_storages: found } = JSON.parse(
        (await gitalyTs('cluster', 'status', data, '--json')).stdout,
      );
      assert.equal(found[0].repositories, 2);
      const page = await fetch(`${report.http}/-/console/cluster?format=json`);
      const shown = (await page.json()) as { virtual_storages: { repositories: number }[] };
      assert.deepEqual([page.status, shown.virtual_storages[0]?.repositories], [200, 2]);
      await runGit(['clone', '-q', '--bare', clone, join(directory, 'old.git')]);
      const imported = await gitalyTs('import', join(directory, 'old.git'), '--to', data);
      assert.equal(imported.code, 0, imported.stderr);
      const doctor = await gitalyTs('doctor', data, '--json');
      const findings: { subject: string }[] = JSON.parse(doctor.stdout).findings;
      assert.equal(findings.filter(({ subject }) => /gitaly-[123]/.test(subject)).length > 0, true);
      assert.match(first.notes(), new RegExp(`gitaly-2 \\(process ${lost}\\) exited unexpectedly`));

      assert.equal(await first.stop('SIGINT'), 0);
      assert.deepEqual(pidsOf(report).filter(isRunning), []);
      assert.ok(!existsSync(join(data, 'postgres/data/postmaster.pid')), 'the database has ended cleanly');
      assert.deepEqual(readdirSync(data).sort(), [
        ...all,
        'lfs',
        'lfs.key',
        'log',
        'postgres',
        'praefect.toml',
        'ssh_host_ed25519_key',
      ]);
    }
    {
      await using second = await startUpCluster(data, '--cluster', '3');
      await runGit(['clone', '-q', `${second.report.http}/new.git`, join(directory, 'again')]);
      assert.equal(await runGit(['-C', join(directory, 'again'), 'rev-parse', 'HEAD']), newest);
      newest = await commitIn(clone, 'before the kill');
      await push(second.report.http);
      killed = pidsOf(second.report);
      await second.stop('SIGKILL');
    }
    await using third = await startUpCluster(data, '--cluster', '4');
    const { report } = third;
    await untilComplete(report);
    assert.deepEqual(killed.filter(isRunning), []);
    assert.deepEqual(nodesWith(report, newest), [...all, 'gitaly-4']);
    const taken = await gitalyTs('up', data, '--cluster', '4');
    assert.match(taken.stderr, new RegExp(`is in use: .*process ${report.pid}, ${report.http}`));
  });
});

test('the database may be a given one, and no secret is visible to other users', { skip }, async () => {
  await using postgres = await startPostgres({ isMigrated: false });
  await inTemporaryDirectory(async (directory) => {
    const { dbname, host, user } = postgres.config;
    const url = `postgresql://${user}:the-password@/${dbname}?host=${encodeURIComponent(host)}`;
    const grpc = ['--grpc', '127.0.0.1:0', '--token', 'the-token'];
    await using cluster = await startUpCluster(directory, '--cluster', '2', '--database', url, ...grpc);
    const { report } = cluster;
    assert.equal(report.cluster.postgres, undefined);
    await runGit(['clone', '-q', `${report.http}/hello.git`, join(directory, 'clone')]);
    const repository = { storageName: 'default', relativePath: 'hello.git' };

    for (const address of report.grpc) {
      await using nobody = await dial(address);
      await using known = await dial(address, { token: 'the-token' });
      await assert.rejects(nobody.repository.repositoryExists({ repository }), { code: 'UNAUTHENTICATED' });
      assert.equal((await known.repository.repositoryExists({ repository })).exists, true);
    }
    for (const pid of [report.pid, report.cluster.praefect, ...report.cluster.nodes.map((node) => node.pid)])
      if (process.platform === 'linux')
        assert.doesNotMatch(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /the-(token|password)/);
  });
});

test('up refuses a directory of the other kind, and says what to do', async () => {
  await inTemporaryDirectory(async (directory) => {
    const single = join(directory, 'single');
    const cluster = join(directory, 'cluster');
    mkdirSync(join(single, 'repositories/a.git'), { recursive: true });
    for (const number of [1, 2, 3]) mkdirSync(join(cluster, `gitaly-${number}`), { recursive: true });

    writeFileSync(join(cluster, 'praefect.toml'), '');

    const without = await gitalyTs('up', cluster);
    const imported = await gitalyTs('import', single, '--to', cluster);
    const onSingle = await gitalyTs('up', single, '--cluster', '3');
    const fewer = await gitalyTs('up', cluster, '--cluster', '2', '--database', 'postgresql:');
    const one = await gitalyTs('up', cluster, '--cluster', '1');
    const alone = await gitalyTs('up', single, '--database', 'postgresql:');
    const wrong = await gitalyTs('up', cluster, '--cluster', '3', '--database', 'http://x:secret@y');

    assert.deepEqual([onSingle.code, fewer.code, one.code, alone.code, wrong.code], [1, 1, 2, 2, 2]);
    assert.deepEqual([without.code, imported.code], [1, 1]);
    assert.match(without.stderr, /holds a cluster: start it with gitaly-ts up --cluster/);
    assert.match(imported.stderr, /holds a cluster: start it with gitaly-ts up --cluster/);
    assert.match(onSingle.stderr, /repositories of a single server.* gitaly-ts import --recursive .*single/);
    assert.match(fewer.stderr, /has 3 nodes.* start it with --cluster 3 or more\. Nodes cannot be removed/);
    assert.match(one.stderr, /expected a number from 2 to 9/);
    assert.match(alone.stderr, /--database has no effect without --cluster/);
    assert.match(wrong.stderr, /--database: expected a URL such as postgresql:/);
    assert.doesNotMatch(wrong.stderr, /secret/);
  });
});
