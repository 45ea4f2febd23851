import { Readable } from 'node:stream';
import { dialSidechannel, postUploadPack, SidechannelRegistry } from '#client/index';
import { lsRefsAnswer } from '#domain/upload-pack/ls-refs-server';
import { RequestParser } from '#domain/upload-pack/request-parser';
import { Git } from '#git/command/git';
import { RepositoryCaches } from '#git/repository-caches';
import { Storages } from '#storage/storages';
import { packet } from '#testkit/repositories/push';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { lsRefsRequest } from './lib/fetch-request.ts';
import { cpuTime } from './lib/process-usage.ts';
import type { RepositoryName, StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';

const GIT_PROTOCOL = 'version=2';
const HEAD = [packet('agent=git/2.45.0\n'), packet('object-format=sha1\n')].join('');

interface Question {
  readonly name: string;
  readonly repository: RepositoryName;
  readonly clients: number;
  readonly callsOfEach: number;
  readonly body: (path: string) => Promise<string> | string;
  readonly atMost: number;
}

const ROUNDS = 15;
/** Warm-up time: V8 interprets the first hundreds of calls, which takes three times as long. */
const WARM_UP_MS = 3_000;
const QUESTIONS: readonly Question[] = [
  {
    name: 'ls-refs, 1k refs',
    repository: '1k-refs',
    clients: 1,
    callsOfEach: 8,
    body: lsRefsRequest,
    atMost: 1 / 8,
  },
  {
    name: 'ls-refs, 1k refs',
    repository: '1k-refs',
    clients: 16,
    callsOfEach: 4,
    body: lsRefsRequest,
    atMost: 1 / 8,
  },
  {
    name: 'ls-refs, 200k refs',
    repository: '200k-refs',
    clients: 1,
    callsOfEach: 1,
    body: lsRefsRequest,
    atMost: 1 / 3,
  },
  {
    name: 'clone of 20 commits',
    repository: '20-commits',
    clients: 1,
    callsOfEach: 4,
    body: cloneOfMain,
    atMost: 1.3,
  },
  {
    name: 'clone of 20 commits',
    repository: '20-commits',
    clients: 16,
    callsOfEach: 2,
    body: cloneOfMain,
    atMost: 1.3,
  },
];

/**
 * Measures the time until a client of protocol v2 has the references, and a small repository,
 * compared with `git upload-pack` alone.
 */
export const bench: Bench = {
  name: 'ls-refs',
  question:
    'ls-refs and a small clone by PostUploadPackWithSidechannel, against git upload-pack --stateless-rpc',
  async *run(workshop) {
    const { socket, pid } = await workshop.server();
    const registry = new SidechannelRegistry();
    const connection = await dialSidechannel(`unix:${socket}`, registry);
    const post = async (body: string, { wire }: StoredRepository): Promise<void> => {
      const io = { stdin: Readable.from([Buffer.from(body)]), stdout: sink() };
      await postUploadPack(connection, registry, io, { repository: wire, gitProtocol: GIT_PROTOCOL });
    };
    for (const question of QUESTIONS) yield await measure(workshop, question, { post, pid });
    await connection.close();
    yield* answersAlone(workshop);
  },
};

/** Measures the server's work between request and response, without connection, call and log. */
async function* answersAlone(workshop: Workshop): AsyncGenerator<Measurement> {
  await using caches = new RepositoryCaches(await Git.start({ binary: 'git' }));
  const storages = new Storages({ storages: [{ name: 'default', path: workshop.storage }], caches });
  const request = new RequestParser().push(Buffer.from(lsRefsRequest()));
  if (typeof request === 'string' || request.name !== 'ls-refs') throw new Error('that is no ls-refs');
  for (const question of QUESTIONS) {
    const { name, repository, clients, atMost } = question;
    if (!name.startsWith('ls-refs') || clients !== 1) continue;
    const { path, wire } = await workshop.repository(repository, `${repository}-alone.git`);
    const answer = () =>
      lsRefsAnswer(storages.open(wire), request, { config: [], signal: new AbortController().signal });
    if ((await answer()) === undefined) throw new Error('git would be asked');
    const samples = await takeTurns(workshop.quick ? 3 : ROUNDS, {
      git: () => perCall(() => uploadPack(path, lsRefsRequest()), question),
      ours: () => perCall(answer, question),
    });
    yield {
      name: `${name}, answer alone`,
      value: median(samples.ours),
      unit: 'ms/call',
      reference: { name: 'git upload-pack', value: median(samples.git) },
      goal: { of: 'ratio', atMost },
    };
  }
}

function uploadPack(path: string, input: string): Promise<Buffer> {
  return runProgram('git', ['upload-pack', '--stateless-rpc', path], { env: { GIT_PROTOCOL }, input });
}

interface Server {
  readonly post: (body: string, repository: StoredRepository) => Promise<void>;
  readonly pid: number;
}

async function measure(workshop: Workshop, question: Question, { post, pid }: Server): Promise<Measurement> {
  const { clients, callsOfEach } = question;
  const repository = await workshop.repository(question.repository, `${question.repository}-${clients}.git`);
  const body = await question.body(repository.path);
  const ours = () => post(body, repository);
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) await ours();

  let cpuMs = 0;
  const rounds = workshop.quick ? 3 : ROUNDS;
  const samples = await takeTurns(rounds, {
    git: () => perCall(() => uploadPack(repository.path, body), question),
    ours: async () => {
      const before = cpuTime(pid).ownMs;
      const ms = await perCall(ours, question);
      cpuMs += cpuTime(pid).ownMs - before;
      return ms;
    },
  });
  return {
    name: `${question.name}, ${clients === 1 ? '1 client' : `${clients} clients`}`,
    value: median(samples.ours),
    unit: 'ms/call',
    reference: { name: 'git upload-pack', value: median(samples.git) },
    goal: { of: 'ratio', atMost: question.atMost },
    note: `server ${(cpuMs / rounds / clients / callsOfEach).toFixed(2)} ms of CPU per call`,
  };
}

/** Returns the milliseconds per call when a number of clients call repeatedly. */
async function perCall(call: () => Promise<unknown>, { clients, callsOfEach }: Question): Promise<number> {
  const client = async (): Promise<void> => {
    for (let done = 0; done < callsOfEach; done++) await call();
  };
  return (await timed(() => Promise.all(Array.from({ length: clients }, client)))) / (clients * callsOfEach);
}

/** Returns the request that git sends before a clone. */
async function cloneOfMain(path: string): Promise<string> {
  const words = [
    'thin-pack',
    'no-progress',
    'ofs-delta',
    `want ${await git(path, ['rev-parse', 'main'])}`,
    'done',
  ];
  return `${packet('command=fetch')}${HEAD}0001${words.map((word) => packet(`${word}\n`)).join('')}0000`;
}
