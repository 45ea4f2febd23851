import assert from 'node:assert/strict';
import { chmodSync, globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { dial } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { withoutOwnPostgres } from '#testkit/servers/start-postgres';
import { startUpCluster, type UpClusterOutput } from '#testkit/servers/start-up-cluster';
import { until } from '#testkit/until';
import { axeViolations, layoutProblems, openBrowser, VIEWS, WITHOUT_CHROMIUM } from './browser.ts';

/** Calls that take at least this long are slow. */
const SLOW_MS = 500;

/**
 * Makes pushes to all replicas of a repository wait until a file exists. They are left to git,
 * whose process the pages show: only git advertises a nonce.
 */
async function holdPushes({ cluster: { nodes } }: UpClusterOutput, file: string): Promise<void> {
  const script = `#!/bin/sh\nuntil [ -e '${file}' ]; do sleep 0.1; done\n`;
  for (const { path } of nodes)
    for (const replica of globSync('@cluster/repositories/*/*/*', { cwd: path })) {
      const hooks = join(path, replica, 'custom_hooks');
      mkdirSync(hooks, { recursive: true });
      writeFileSync(join(hooks, 'pre-receive'), script, { mode: 0o755 });
      await runGit(['-C', join(path, replica), 'config', 'receive.certNonceSeed', 'seed']);
    }
}

// biome-ignore lint/suspicious/noExplicitAny: the test reads fields of many pages
async function jsonAt({ http }: UpClusterOutput, page: string): Promise<any> {
  return await (await fetch(`${http}/-/console/${page}?format=json`)).json();
}

test('the console of up --cluster shows, ends and explains the calls of praefect and its nodes', {
  skip: withoutOwnPostgres || WITHOUT_CHROMIUM,
}, async () => {
  const directory = makeScratchDirectory('up-console');
  chmodSync(directory, 0o711);
  try {
    await using up = await startUpCluster(join(directory, 'data'), '--cluster', '2', '--events');
    const { report } = up;
    const clone = join(directory, 'clone');
    await runGit(['clone', '-q', `${report.http}/hello.git`, clone]);
    await runGit(['-C', clone, 'commit', '-q', '--allow-empty', '-m', 'held']);
    const release = join(directory, 'release');
    await holdPushes(report, release);
    await using browser = await openBrowser();
    await using context = await browser.newContext(VIEWS.narrow);
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(error.message));
    const check = async (name: string): Promise<void> => {
      problems.push(...(await layoutProblems(page, name)), ...(await axeViolations(page, name)));
    };
    const show = async (name: string): Promise<void> => {
      await page.goto(`${report.http}/-/console/${name}`);
      assert.equal(await page.locator('[aria-current=page]').count(), 1, name);
    };

    const push = runGit(['-C', clone, 'push', '-q', 'origin', 'HEAD:refs/heads/main']);
    await show('running');
    const work = page.getByRole('cell', { name: /gitaly-[12]: .*receive-pack/ });
    await work.waitFor();
    await check('running');
    const { calls, nodes } = await jsonAt(report, 'running');
    const held = calls.find(({ method }: { method: string }) => method.endsWith('/PostReceivePack'));
    assert.deepEqual(held.nodes.toSorted(), ['gitaly-1', 'gitaly-2']);
    assert.deepEqual(
      nodes.map(({ storage, status }: { storage: string; status: { git_version: string } }) => [
        storage,
        status.git_version !== '',
      ]),
      [
        ['gitaly-1', true],
        ['gitaly-2', true],
      ],
    );
    await delay(SLOW_MS);
    writeFileSync(release, '');
    await push;
    await until(async () => (await work.count()) === 0, 'the page is renewed');

    await show('slow');
    await page.getByText('/gitaly.SmartHTTPService/PostReceivePack').first().click();
    await page
      .getByRole('region', { name: /Git commands of gitaly-[12]/ })
      .first()
      .waitFor();
    await check('slow');
    const slow = await jsonAt(report, 'slow');
    const explained = slow.node_calls.find(
      (call: { correlation_id: string }) => call.correlation_id === held.correlation_id,
    );
    assert.match(explained.node, /^gitaly-[12]$/);
    assert.ok(
      explained.explanation.commands.some(({ args }: { args: string[] }) => args.includes('receive-pack')),
    );

    await using connection = await dial(report.grpc.at(-1) ?? '');
    const repository = { storageName: 'default', relativePath: 'hello.git' };
    const hold = Promise.withResolvers<void>();
    async function* requests() {
      yield { repository, revisions: [Buffer.from('main')] };
      await hold.promise;
    }
    const call = assert.rejects(Array.fromAsync(connection.commit.checkObjectsExist(requests())), {
      code: 'CANCELLED',
    });
    await show('running');
    await page.getByRole('button', { name: 'Cancel /gitaly.CommitService/CheckObjectsExist' }).click();
    await call;
    hold.resolve();

    for (const name of ['overview', 'webhooks', 'cluster']) {
      await show(name);
      await check(name);
    }
    const overview = await jsonAt(report, 'overview');
    assert.deepEqual([overview.lastHour.intervalSeconds, overview.nodes.length], [10, 2]);
    assert.deepEqual(await jsonAt(report, 'webhooks'), { webhooks: [] });
    assert.deepEqual(problems, []);

    process.kill(report.cluster.nodes[0]?.pid ?? 0, 'SIGKILL');
    await until(() => up.notes().includes('gitaly-1 restarted (process '), up.notes);
    await until(async () => (await jsonAt(report, 'overview')).nodes[0].status !== null, 'the new node');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
