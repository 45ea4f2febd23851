// Makes the pictures in docs/images: `npm run screenshots`, some minutes for plots with content.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startUpCluster, type UpClusterOutput } from '#testkit/servers/start-up-cluster';
import { until } from '#testkit/until';
import { openBrowser } from './browser.ts';

const IMAGES = join(import.meta.dirname, '../../docs/images');
const MINUTES = Number(process.env.SCREENSHOT_MINUTES ?? 6);
const MINUTE_MS = 60_000;
const WAVE_MS = 40_000;
/** Between two calls of the load, on average. */
const PAUSE_MS = 60;

const directory = makeScratchDirectory('screenshots');
chmodSync(directory, 0o711); // root runs PostgreSQL as another user
await using browser = await openBrowser();
await takeServer(browser);
await takeCluster(browser);

/** Pictures of a server with some load. */
async function takeServer(from: Browser): Promise<void> {
  await using up = await startUpCluster(join(directory, 'server'), '--events');
  const { report } = up;
  const clone = await pushProjects(report);
  await putLoad(report, { clone, forMs: MINUTES * MINUTE_MS });
  await take(from, { address: `${report.http}/-/console/overview`, name: 'console-overview', height: 1000 });
  await take(from, {
    address: `${report.http}/-/console/repository/team/app.git/-/files`,
    name: 'console-repository',
  });
}

/** A picture of a cluster that has lost a node. */
async function takeCluster(from: Browser): Promise<void> {
  await using up = await startUpCluster(join(directory, 'cluster'), '--cluster', '3', '--events');
  const { report } = up;
  const clone = await pushProjects(report);
  const lost = report.cluster.nodes.at(-1);
  if (lost !== undefined) process.kill(lost.pid, 'SIGSTOP');
  try {
    const status = async () => await (await fetch(`${report.http}/-/console/cluster?format=json`)).text();
    await until(
      async () => (await status()).startsWith('{"ok":false'),
      'praefect misses the node',
      2 * MINUTE_MS,
    );
    await commitAndPush(clone, `${report.http}/team/app.git`);
    await take(from, { address: `${report.http}/-/console/cluster`, name: 'console-cluster', height: 700 });
  } finally {
    if (lost !== undefined) process.kill(lost.pid, 'SIGCONT');
  }
}

/** Creates repositories by pushes. @returns the clone of one of them. */
async function pushProjects({ http }: UpClusterOutput): Promise<string> {
  const clone = join(directory, `clone-${new URL(http).port}`);
  await runGit(['init', '-q', '-b', 'main', clone]);
  mkdirSync(join(clone, 'src'));
  writeFileSync(join(clone, 'README.md'), '# App\n\nA small program. Start it with `node src/main.js`.\n');
  writeFileSync(join(clone, 'package.json'), '{ "name": "app", "type": "module" }\n');
  writeFileSync(join(clone, 'src/main.js'), "console.log('hello');\n");
  await runGit(['-C', clone, 'add', '.']);
  for (const name of ['team/app', 'team/site', 'team/docs', 'tools/lint', 'tools/build'])
    await commitAndPush(clone, `${http}/${name}.git`);
  return clone;
}

async function commitAndPush(clone: string, address: string): Promise<void> {
  await runGit(['-C', clone, 'commit', '-q', '--allow-empty', '-m', 'Change something']);
  await runGit(['-C', clone, 'push', '-q', address, 'HEAD:refs/heads/main']);
}

interface Load {
  readonly clone: string;
  readonly forMs: number;
}

/** Sends calls, now more and now fewer. */
async function putLoad({ http }: UpClusterOutput, { clone, forMs }: Load): Promise<void> {
  const startedAtMs = performance.now();
  for (let count = 0; performance.now() - startedAtMs < forMs; count++) {
    const address = `${http}/team/${['app', 'site', 'docs'][count % 3]}.git`;
    const isMissing = count % 50 === 0;
    await (await fetch(`${address}/info/refs?service=git-${isMissing ? 'x' : 'upload-pack'}`)).text();
    if (count % 20 === 0) await commitAndPush(clone, address);
    const pauseMs = PAUSE_MS * (1 + 0.8 * Math.sin((2 * Math.PI * performance.now()) / WAVE_MS));
    await delay(pauseMs);
  }
}

async function take(
  from: Browser,
  {
    address,
    name,
    height = 620,
  }: { readonly address: string; readonly name: string; readonly height?: number },
): Promise<void> {
  await using context = await from.newContext({ viewport: { width: 1000, height } });
  const page = await context.newPage();
  await page.goto(address);
  await page.locator('h1').waitFor();
  await page.screenshot({ path: join(IMAGES, `${name}.png`) });
}
