/**
 * Measures backups by our `gitaly-backup` from this server next to those by Gitaly's from a Gitaly,
 * in turns, with the same git and copies of the same repositories. See bench/README.md.
 *
 *   npm run bench:peer-backups -- --help
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findProgram } from '#git/command/find-program';
import { startInternalApi } from '#testkit/servers/internal-api';
import { median } from './lib/bench.ts';
import { fail, parseOptions } from './lib/peer-options.ts';
import { treeTime } from './lib/process-tree.ts';
import { residentMb } from './lib/process-usage.ts';
import { copyRepository } from './lib/repositories.ts';
import { type ServerProcess, startPeer, startServer } from './lib/server-process.ts';
import { Workshop } from './lib/workshop.ts';

const OURS = join(import.meta.dirname, '../bin/gitaly-backup');
const POLL_MS = 20;
/** The results of the first round are not counted. */
const WARM_UP = 1;

const USAGE = `Usage: npm run bench:peer-backups -- --gitaly FILE [options]

Measure backups next to those of a Gitaly, in turns; print one table.

Options:
  --gitaly FILE       the other server's program; its gitaly-backup is next to it
  --git FILE          the git that both run (default: the first one in PATH)
  --repositories N    repositories of 20 commits (default 10000)
  --parallel N        option -parallel and -parallel-storage of both programs (default 4)
  --rounds N          backups of each kind, after one to warm up (default 3)
  -h, --help          print this help
`;

const OPTIONS = {
  gitaly: { type: 'string' },
  git: { type: 'string' },
  repositories: { type: 'string', default: '10000' },
  parallel: { type: 'string', default: '4' },
  rounds: { type: 'string', default: '3' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const values = parseOptions(OPTIONS, USAGE);
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
if (values.gitaly === undefined) fail('Pass the other server with --gitaly.', USAGE);
const peer = resolve(values.gitaly);
const gitProgram = resolve(values.git ?? findProgram('git'));
// The repositories are made by the same git.
process.env.PATH = `${dirname(gitProgram)}:${process.env.PATH}`;
const [count, rounds] = [Number(values.repositories), Number(values.rounds)];

interface Side {
  readonly name: 'ours' | 'theirs';
  readonly program: string;
  readonly server: ServerProcess;
  readonly directory: string;
}

interface Sample {
  readonly wallMs: number;
  /** Of the program and the server with its gits. */
  readonly cpuMs: number;
  readonly toolMb: number;
}

/** Kinds of backups, with the options of the program. */
const KINDS: Readonly<Record<string, (side: Side, id: string) => readonly string[]>> = {
  'create -path': ({ directory }, id) => ['-path', join(directory, 'backups'), '-id', id],
  'create -path -incremental, nothing new': ({ directory }, id) => [
    ...['-path', join(directory, 'backups'), '-incremental', '-id', `${id}-again`],
  ],
  'create -server-side': (_, id) => ['-server-side', '-id', `${id}-server`],
};

await using cleanUp = new AsyncDisposableStack();
const internalApi = cleanUp.use(await startInternalApi());
const workshop = cleanUp.use(new Workshop({ quick: false }));
const jobs = Array.from({ length: count }, (_, index) =>
  JSON.stringify({ storage_name: 'default', relative_path: `${index}.git`, gl_project_path: `p/${index}` }),
).join('\n');
const sides = [await prepare('ours'), await prepare('theirs')];
const samples = new Map<string, Sample[]>();
for (let round = -WARM_UP; round < rounds; round++)
  for (const [kind, options] of Object.entries(KINDS))
    for (const side of sides) await measure(round, kind, side, options);
print();

/** Starts a server on its own copies of the repositories. */
async function prepare(name: Side['name']): Promise<Side> {
  const directory = join(workshop.directory, name);
  const storage = join(directory, 'storage');
  const bucket = join(directory, 'bucket');
  for (const each of [storage, bucket]) mkdirSync(each, { recursive: true });
  for (let index = 0; index < count; index++)
    await copyRepository('20-commits', join(storage, `${index}.git`));
  const { url, secret } = internalApi;
  const settings =
    `[gitlab]\nurl = ${JSON.stringify(url)}\nsecret = ${JSON.stringify(secret)}\n` +
    `[backup]\ngo_cloud_url = ${JSON.stringify(`file://${bucket}`)}\n`;
  const own = `[git]\nbin_path = ${JSON.stringify(gitProgram)}\n[housekeeping]\nautomatic = false\n`;
  const isOurs = name === 'ours';
  const server = isOurs
    ? await startServer(directory, storage, { settings: settings + own })
    : await startPeer(peer, { directory, storage, git: gitProgram, settings });
  cleanUp.defer(() => server.stop());
  const program = isOurs ? OURS : join(dirname(peer), 'gitaly-backup');
  return { name, program, server, directory };
}

async function measure(
  round: number,
  kind: string,
  side: Side,
  options: (side: Side, id: string) => readonly string[],
): Promise<void> {
  const sample = await backUp(side, options(side, `round-${round}`));
  console.error(`${kind}, ${side.name}, round ${round}: ${(sample.wallMs / 1000).toFixed(1)} s`);
  const key = `${kind} ${side.name}`;
  if (round >= 0) samples.set(key, [...(samples.get(key) ?? []), sample]);
}

async function backUp({ program, server }: Side, options: readonly string[]): Promise<Sample> {
  const { parallel } = values;
  const args = ['create', ...options, '-parallel', parallel, '-parallel-storage', parallel];
  const servers = { default: { address: `unix:${server.socket}`, token: '' } };
  const GITALY_SERVERS = Buffer.from(JSON.stringify(servers)).toString('base64');
  const before = treeTime(server.pid);
  const start = performance.now();
  const env = { ...process.env, GITALY_SERVERS };
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'inherit'], env });
  child.stdin.end(jobs);
  let [toolMb, toolCpuMs] = [0, 0];
  const poll = setInterval(() => {
    if (child.pid === undefined) return;
    [toolMb, toolCpuMs] = [Math.max(toolMb, memoryOf(child.pid)), treeTime(child.pid) || toolCpuMs];
  }, POLL_MS);
  const [code] = await once(child, 'close');
  const wallMs = performance.now() - start;
  clearInterval(poll);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}`);
  return { wallMs, cpuMs: treeTime(server.pid) - before + toolCpuMs, toolMb };
}

/** Returns 0 for a process that is ending. */
function memoryOf(pid: number): number {
  try {
    return residentMb(pid).peak || 0;
  } catch {
    return 0;
  }
}

function print(): void {
  console.log('| backup | ours | theirs | times as fast | CPU, ours, theirs | tool, ours, theirs |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const kind of Object.keys(KINDS)) {
    const middle = (name: Side['name'], field: keyof Sample): number =>
      median((samples.get(`${kind} ${name}`) ?? []).map((sample) => sample[field]));
    const both = (field: keyof Sample, format: (value: number) => string): string =>
      [middle('ours', field), middle('theirs', field)].map(format).join(', ');
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    const [ours, theirs] = [middle('ours', 'wallMs'), middle('theirs', 'wallMs')];
    console.log(
      `| ${kind} | ${seconds(ours)} | ${seconds(theirs)} | ${(theirs / ours).toFixed(2)} | ` +
        `${both('cpuMs', seconds)} | ${both('toolMb', (mb) => `${mb.toFixed(0)} MB`)} |`,
    );
  }
}
