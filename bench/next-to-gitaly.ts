/**
 * Measures this server next to a Gitaly, in turns, with the same git, client and repositories, and
 * prints one table. See bench/README.md.
 *
 *   npm run bench:peer -- --help
 */
import { mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { freePort } from '#base/network/listening-port';
import { findProgram } from '#git/command/find-program';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { startInternalApi } from '#testkit/servers/internal-api';
import { CommitService } from '#wire/gen/commit_pb';
import { GetArchiveRequest_Format, RepositoryService } from '#wire/gen/repository_pb';
import { SmartHTTPService } from '#wire/gen/smarthttp_pb';
import { BUDGETED, budgetedCalls, makeBudgetRepository, NEEDS_COMMITS } from '../test/call-budget/calls.ts';
import { median, quantile } from './lib/bench.ts';
import { lsRefsRequest } from './lib/fetch-request.ts';
import { measureReal } from './lib/first-and-steady.ts';
import { largeCalls, startFetching } from './lib/large-work.ts';
import { PeakMemory } from './lib/peak-memory.ts';
import { fail, parseOptions } from './lib/peer-options.ts';
import { treeTime } from './lib/process-tree.ts';
import {
  listsOf,
  mergeDiffsOf,
  one,
  type Reading,
  type Subjects,
  subjectsOf,
  unaryCallsOf,
} from './lib/readings.ts';
import { copyRepository, type RepositoryName, type StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import { type ServerProcess, startPeer, startServer } from './lib/server-process.ts';
import { Workshop } from './lib/workshop.ts';

const CLIENTS = [1, 16] as const;
/** For calls that take long: one of each client in each round. */
const LARGE_CLIENTS = [1, 8] as const;
/** Number of times that each client can merge, push or compare other commits. */
const CHANGES = 200;
const WARM_UP_MS = 500;
const REST_MS = 30_000;

const USAGE = `Usage: npm run bench:peer -- --gitaly FILE [options]

Measure this server next to a Gitaly, in turns; print one table.

Options:
  --gitaly FILE   the other server's program
  --git FILE      the git that both run (default: the first one in PATH)
  --seconds N     length of a window (default 2)
  --rounds N      windows of each phase (default 3)
  --only WORD     only phases whose name contains the word
  --real DIR      a repository whose own work is measured; may be repeated (default: this project's)
  --real-only     measure nothing else
  --large DIR     a real bare repository, for a large diff, an archive and clones
  --range A..B    two of its revisions (default v2.30.0..v2.31.0, of git's own repository)
  -h, --help      print this help
`;

const OPTIONS = {
  gitaly: { type: 'string' },
  git: { type: 'string' },
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '3' },
  only: { type: 'string' },
  real: { type: 'string', multiple: true },
  'real-only': { type: 'boolean', default: false },
  large: { type: 'string' },
  range: { type: 'string', default: 'v2.30.0..v2.31.0' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

const values = parseOptions(OPTIONS, USAGE);
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
if (values.gitaly === undefined) fail('Pass the other server with --gitaly.', USAGE);
const gitProgram = resolve(values.git ?? findProgram('git'));
// The repositories are made by the same git.
process.env.PATH = `${dirname(gitProgram)}:${process.env.PATH}`;
const [rounds, windowMs] = [Number(values.rounds), Number(values.seconds) * 1000];

type Call = () => Promise<unknown>;

/** Calls of one kind. */
interface Phase {
  readonly name: string;
  /** One for each client, or one for all. */
  readonly calls: readonly Call[];
  /** Numbers of clients. */
  readonly clients: readonly number[];
  /** Number of calls of a client in each window, where that is limited. */
  readonly most?: number;
  /** Precedes each window. */
  readonly before?: Call | undefined;
}

/** A server and its calls. */
interface Side {
  readonly name: 'ours' | 'theirs';
  readonly server: ServerProcess;
  readonly phases: readonly Phase[];
}

/** Samples of one phase, by side and number of clients. */
interface Measured {
  readonly clients: readonly number[];
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

interface Sample {
  readonly callsPerSecond: number;
  readonly p50Ms: number;
  readonly cpuMs: number;
}

await using cleanUp = new AsyncDisposableStack();
const internalApi = cleanUp.use(await startInternalApi());
const workshop = cleanUp.use(new Workshop({ quick: false }));
for (const directory of values.real ?? [join(import.meta.dirname, '..')])
  await measureRepository(resolve(directory));
if (values['real-only']) {
  await cleanUp.disposeAsync();
  process.exit(0);
}
const sides = [await prepare('ours'), await prepare('theirs')];
const memory = cleanUp.use(new PeakMemory(sides));
/** Failed calls of the other server, by phase. */
const failures = new Map<string, { readonly count: number; readonly first: string }>();
const results = await measureAll(sides);
print(results);
if (values.only === undefined) await sleep(REST_MS);
memory.print();
for (const [phase, { count, first }] of failures)
  console.log(`\n${count} calls of theirs failed in ${phase}, the first one with: ${first}`);

/** Measures the own work of a real repository: the first seconds of processes, and their steady state. */
async function measureRepository(directory: string): Promise<void> {
  const repository = await workshop.copyOf(directory);
  await git(repository.path, ['-c', 'pack.writeReverseIndex=true', 'repack', '-adbq']);
  // As after maintenance, which would fall into the first row of the first server.
  await git(repository.path, ['commit-graph', 'write', '--reachable', '--changed-paths']);
  const servers = (['ours', 'theirs'] as const).map((name) => ({
    name,
    start: async () => await startOne(name, workshop.storage, await freePort()),
  }));
  await measureReal(basename(directory), repository, servers, values.only ?? '');
  rmSync(repository.path, { recursive: true });
}

/** Starts a server on a storage with its own copies of the repositories. */
async function prepare(name: Side['name']): Promise<Side> {
  const storage = join(workshop.directory, name);
  mkdirSync(storage);
  const server = await startOne(name, storage);
  cleanUp.defer(() => server.stop());
  const phases = [
    ...(await readPhases(server, storage)),
    ...(await changePhases(server, storage)),
    ...(await largePhases(server, storage)),
  ];
  return { name, server, phases: phases.filter((phase) => phase.name.includes(values.only ?? '')) };
}

/** Starts one of the servers. @param monitoringPort for the metrics of ours. */
async function startOne(
  name: Side['name'],
  storage: string,
  monitoringPort?: number,
): Promise<ServerProcess> {
  const { url, secret } = internalApi;
  const { directory } = workshop;
  const settings = `[gitlab]\nurl = ${JSON.stringify(url)}\nsecret = ${JSON.stringify(secret)}\n`;
  if (name === 'theirs')
    return await startPeer(resolve(values.gitaly ?? ''), { directory, storage, git: gitProgram, settings });
  const own = `[git]\nbin_path = ${JSON.stringify(gitProgram)}\n[housekeeping]\nautomatic = false\n`;
  return await startServer(directory, storage, {
    settings: settings + own,
    ...(monitoringPort !== undefined && { monitoringPort }),
  });
}

/** Returns calls that share one connection and do not change what they read. */
async function readPhases(server: ServerProcess, storage: string): Promise<Phase[]> {
  const channel = connectGrpc(await server.connect());
  cleanUp.defer(() => channel.destroy());
  const fetching = cleanUp.use(await startFetching(`unix:${server.socket}`));
  const stored = async (name: RepositoryName): Promise<StoredRepository> => {
    const relativePath = `${name}.git`;
    const path = join(storage, relativePath);
    await copyRepository(name, path);
    return { path, wire: { storageName: 'default', relativePath, glRepository: 'project-1' } };
  };
  const history = await stored('50k-commits');
  const subjects = await subjectsOf(history);
  const references = await stored('1k-refs');
  const calls: [string, Reading['call']][] = [
    ...Object.entries(unaryCallsOf(subjects)),
    ...[...listsOf(subjects), ...mergeDiffsOf(subjects)].map((each): [string, Reading['call']] => [
      each.name,
      each.call,
    ]),
    ...afterWrites(subjects),
    ...advertisements('1,000 references', references),
    ...advertisements('200,000 references', await stored('200k-refs')),
    ['ls-refs of 1,000 references by HTTP', () => fetching.post(references, lsRefsRequest())],
    ...contents(await stored('5k-files')),
  ];
  return calls.map(([name, call]) => ({ name, calls: [() => call(channel)], clients: CLIENTS }));
}

/** Returns the calls that take long, on a copy of the real repository, if there is one. */
async function largePhases(server: ServerProcess, storage: string): Promise<Phase[]> {
  if (values.large === undefined) return [];
  const relativePath = 'large.git';
  const path = join(storage, relativePath);
  await runProgram('cp', ['-a', resolve(values.large), path]);
  const repository = { path, wire: { storageName: 'default', relativePath, glRepository: 'project-1' } };
  const channel = connectGrpc(await server.connect());
  cleanUp.defer(() => channel.destroy());
  const fetching = cleanUp.use(await startFetching(`unix:${server.socket}`));
  const calls = await largeCalls(channel, fetching, { repository, range: values.range });
  return calls.map(({ name, call, before }) => ({
    name: `${name}, 1 and 8 clients`,
    calls: [call],
    clients: LARGE_CLIENTS,
    most: 1,
    before,
  }));
}

/** Returns calls that list references, with a reference written before each tenth of them. */
function afterWrites(subjects: Subjects): [string, Reading['call']][] {
  const { wire: repository, commits } = subjects;
  const ref = Buffer.from('refs/heads/written');
  const writes = commits
    .slice(0, 2)
    .map((oid) => one(RepositoryService.method.writeRef, { repository, ref, revision: Buffer.from(oid) }));
  let count = 0;
  return listsOf(subjects)
    .filter(({ name }) => ['ListRefs', 'FindLocalBranches', 'FindAllTags'].includes(name))
    .map(({ name, call }) => [
      `${name}, one in ten after a write`,
      async (channel) => {
        if (++count % 10 === 0) await writes[(count / 10) % 2]?.(channel);
        await call(channel);
      },
    ]);
}

function advertisements(size: string, { wire: repository }: StoredRepository): [string, Reading['call']][] {
  return ['', 'version=2'].map((gitProtocol) => [
    `InfoRefsUploadPack ${gitProtocol || 'version=0'}, ${size}`,
    one(SmartHTTPService.method.infoRefsUploadPack, { repository, gitProtocol }),
  ]);
}

function contents({ wire: repository }: StoredRepository): [string, Reading['call']][] {
  const request = { repository, commitId: 'main', format: GetArchiveRequest_Format.TAR };
  return [
    ['GetArchive of 5,000 files', one(RepositoryService.method.getArchive, request)],
    [
      'CommitLanguages',
      one(CommitService.method.commitLanguages, { repository, revision: Buffer.from('main') }),
    ],
    ['RepositorySize', one(RepositoryService.method.repositorySize, { repository })],
  ];
}

/** Returns the calls of docs/budget.md, on a repository and a connection for each client. */
async function changePhases(server: ServerProcess, storage: string): Promise<Phase[]> {
  const first = join(storage, 'budget-0.git');
  const made = makeBudgetRepository(first, CHANGES);
  const clients: Awaited<ReturnType<typeof budgetedCalls>>[] = [];
  for (let client = 0; client < Math.max(...CLIENTS); client++) {
    const relativePath = `budget-${client}.git`;
    if (client > 0) await runProgram('cp', ['-a', first, join(storage, relativePath)]);
    clients.push(cleanUp.use(await budgetedCalls(`unix:${server.socket}`, made, relativePath)));
  }
  // A window takes its part of the commits, so that the last one has some.
  const most = Math.floor(CHANGES / (rounds + 1) / CLIENTS.length);
  return BUDGETED.map((name) => ({
    name,
    calls: clients.map(({ calls }) => calls[name]),
    clients: CLIENTS,
    ...(NEEDS_COMMITS.has(name) ? { most } : {}),
  }));
}

async function measureAll(all: readonly Side[]): Promise<Map<string, Measured>> {
  const measured = new Map<string, Measured>();
  for (const [index, { name, clients }] of all[0]?.phases.entries() ?? []) {
    const samples = new Map<string, Sample[]>();
    memory.begin(name);
    for (let round = -1; round < rounds; round++) await measureRound(all, { index, round, samples });
    measured.set(name, { clients, samples });
    console.error(`${name}: ${ratios({ clients, samples })}`);
  }
  return measured;
}

/** Measures all sides in turn. The round before the first one warms them up. */
async function measureRound(
  all: readonly Side[],
  { index, round, samples }: { index: number; round: number; samples: Map<string, Sample[]> },
): Promise<void> {
  for (const clients of all[0]?.phases[index]?.clients ?? []) {
    for (const { name, server, phases } of all) {
      const phase = phases[index];
      if (phase === undefined) throw new Error('the sides have different phases');
      const onFailure = name === 'theirs' ? (error: unknown) => noteFailure(phase.name, error) : undefined;
      const sample = await drive(server, phase, { clients, isWarmUp: round < 0, onFailure });
      const key = `${name} ${clients}`;
      if (round >= 0) samples.set(key, [...(samples.get(key) ?? []), sample]);
    }
  }
  internalApi.reset();
}

interface DriveOptions {
  readonly clients: number;
  readonly isWarmUp: boolean;
  /** Called for a failed call, which is not counted. Without it, one ends the measurement. */
  readonly onFailure: ((error: unknown) => void) | undefined;
}

/** Notes a call of the other server that failed: by its own races, now and then. */
function noteFailure(phase: string, error: unknown): void {
  const known = failures.get(phase);
  failures.set(phase, { count: (known?.count ?? 0) + 1, first: known?.first ?? messageOf(error) });
}

/** Makes calls of several clients for a time. */
async function drive(
  { pid }: ServerProcess,
  { calls, before: prepare, most = Number.POSITIVE_INFINITY }: Phase,
  { clients, isWarmUp, onFailure }: DriveOptions,
): Promise<Sample> {
  const latencies: number[] = [];
  await prepare?.();
  const [start, before] = [performance.now(), treeTime(pid)];
  const end = start + (isWarmUp ? Math.min(WARM_UP_MS, windowMs) : windowMs);
  const client = async (index: number): Promise<void> => {
    const call = calls[index % calls.length];
    for (let made = 0; performance.now() < end && made < most; made++) {
      const begun = performance.now();
      try {
        await call?.();
        latencies.push(performance.now() - begun);
      } catch (error) {
        if (onFailure === undefined) throw error;
        onFailure(error);
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  const ms = performance.now() - start;
  await sleep(20); // processes of the last calls end
  return {
    callsPerSecond: (latencies.length * 1000) / ms,
    p50Ms: quantile(latencies, 0.5),
    cpuMs: (treeTime(pid) - before) / latencies.length,
  };
}

/** Returns ours ÷ theirs in calls per second, and theirs ÷ ours in CPU time: above 1 we are better. */
function ratios({ clients: numbers, samples }: Measured): string {
  const middle = (key: string, field: keyof Sample): number =>
    median((samples.get(key) ?? []).map((sample) => sample[field]));
  return numbers
    .map((clients) => {
      const [ours, theirs] = [`ours ${clients}`, `theirs ${clients}`];
      const calls = middle(ours, 'callsPerSecond') / middle(theirs, 'callsPerSecond');
      const cpu = middle(theirs, 'cpuMs') / middle(ours, 'cpuMs');
      const [a, b] = [middle(ours, 'cpuMs'), middle(theirs, 'cpuMs')].map((ms) => ms.toFixed(2));
      return `${calls.toFixed(2)} | ${cpu.toFixed(2)} | ${a}, ${b}`;
    })
    .join(' | ');
}

function print(measured: ReadonlyMap<string, Measured>): void {
  const heads = CLIENTS.map(
    (clients) => `calls/s at ${clients} | CPU at ${clients} | ms of CPU, ours, theirs`,
  );
  console.log(`| call | ${heads.join(' | ')} |\n| --- |${' --- |'.repeat(3 * CLIENTS.length)}`);
  for (const [phase, each] of measured) console.log(`| ${phase} | ${ratios(each)} |`);
}
