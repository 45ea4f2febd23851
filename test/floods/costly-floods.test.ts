import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineSlowness } from '#testkit/measure/machine-slowness';
import { commandLine, cpuSeconds, peakResidentBytes, processIdsIn } from '#testkit/measure/process-usage';
import { moduleOptions } from '#testkit/programs/program-command';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { seededShare } from '#testkit/seeded-share';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { isSoak } from '#testkit/soak';
import type { AttackName, Target } from './attacks.ts';

const PROBE_EVERY_MS = 50;
const PROBE_TIMEOUT_MS = 120_000;
const ATTACK_LIMIT_MS = isSoak ? 180_000 : 20_000;

interface Flood {
  readonly attack: AttackName;
  readonly name: string;
  readonly short: number;
  readonly long: number;
}

const FLOODS: readonly Flood[] = [
  { attack: 'resetSlowCalls', name: 'resets of slow calls by clients that come back', short: 1, long: 13 },
  { attack: 'rapidResets', name: 'rapid resets on many connections', short: 20, long: 20 },
  {
    attack: 'rapidResetsOfSlowCalls',
    name: 'rapid resets of slow calls on many connections',
    short: 20,
    long: 20,
  },
  { attack: 'heldPushes', name: 'pushes that are held open', short: 300, long: 2000 },
  { attack: 'unreadStreams', name: 'answers that nobody reads', short: 300, long: 1000 },
  { attack: 'compressedMessages', name: 'messages that unpack to the limit', short: 100, long: 2000 },
  { attack: 'headerBombs', name: 'headers that mean more than they say', short: 2, long: 10 },
  { attack: 'abandonedHandshakes', name: 'handshakes that are abandoned', short: 500, long: 5000 },
  { attack: 'longLists', name: 'long lists of short names', short: 4, long: 100 },
];

/** Share of the floods that `npm test` tries. */
const SHARE = 0.12;
/**
 * Limit of the 99th percentile of the processor time that the server uses until it answers the
 * other client: other processes of the machine do not count. It is larger on a slow machine.
 */
const PROCESSOR_P99_LIMIT_MS = isSoak ? 1000 : 2000;
const MAX_RESIDENT_BYTES = 512 * 1024 ** 2;

for (const { attack, name, short, long } of seededShare(FLOODS, SHARE)) {
  test(`a flood of ${name} delays no other client`, async (context) => {
    await using gitaly = await startGitalyProcess({ everyListener: true });
    const target = makeTarget(gitaly);
    using probe = await Probe.start(gitaly);
    const cpu = cpuSeconds(gitaly.pid);

    const [result, seconds] = await runAttack(attack, isSoak ? long : short, target);
    const { delays, processorDelays } = await probe.stop();

    const p99 = percentile99(delays);
    const processorP99 = percentile99(processorDelays);
    const peak = peakResidentBytes(gitaly.pid);
    context.diagnostic(
      `${result} in ${seconds.toFixed(1)} s; ${delays.length} answers, median ` +
        `${ms(delays[delays.length >> 1])}, p99 ${ms(p99)} (${ms(processorP99)} of processor), ` +
        `slowest ${ms(delays.at(-1))}; ${mib(peak)} MiB resident, ` +
        `${(cpuSeconds(gitaly.pid) - cpu).toFixed(1)} s of processor, ${probe.mostProcesses} git processes`,
    );
    const slowness = processorP99 <= PROCESSOR_P99_LIMIT_MS ? 1 : machineSlowness();
    const shown = `p99 ${ms(processorP99)} of processor, a machine slower by ${slowness.toFixed(2)}`;
    assert.ok(processorP99 <= PROCESSOR_P99_LIMIT_MS * slowness, shown);
    assert.ok(peak <= MAX_RESIDENT_BYTES, `${mib(peak)} MiB resident`);
  });
}

function makeTarget({ directory, tcp = '', tls = '' }: GitalyProcess): Target {
  const repository = { storageName: 'default', relativePath: 'victim.git' };
  const path = join(directory, 'default', repository.relativePath);
  initRepository(path);
  const commit = (lines: string): string => {
    const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], lines);
    const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\tfile\n`);
    return gitOutput(path, ['commit-tree', '-m', 'one', tree]);
  };
  const lines = (of: string): string =>
    Array.from({ length: 50_000 }, (_, index) => `${of} line ${index}\n`).join('');
  const revisions = [commit(lines('old')), commit(lines('new'))] as const;
  gitOutput(path, ['update-ref', 'refs/heads/main', revisions[0]]);
  return { tcp, tls, repository, revisions, holdMs: isSoak ? 20_000 : 3000 };
}

async function runAttack(attack: AttackName, measure: number, target: Target): Promise<[string, number]> {
  const script = join(import.meta.dirname, 'attacker.ts');
  const startedAt = performance.now();
  const child = spawn(
    process.execPath,
    [...moduleOptions(), script, attack, String(measure), JSON.stringify(target)],
    { stdio: ['ignore', 'inherit', 'inherit'], timeout: ATTACK_LIMIT_MS, killSignal: 'SIGKILL' },
  );
  const [code, signal] = await once(child, 'exit');
  assert.ok(code === 0 || signal === 'SIGKILL', `the attacker ended with ${code}`);
  return [signal === null ? 'done' : 'cut short', (performance.now() - startedAt) / 1000];
}

/** Milliseconds until a response. */
interface Delay {
  readonly delay: number;
  /** Processor time of the server. */
  readonly processor: number;
}

/** A client that sends requests at fixed times, whether or not it has received its responses. */
class Probe implements Disposable {
  mostProcesses = 0;
  readonly #gitaly: GitalyProcess;
  readonly #answers: Promise<Delay>[] = [];
  readonly #timer: NodeJS.Timeout;

  private constructor(gitaly: GitalyProcess, ask: () => Promise<unknown>) {
    this.#gitaly = gitaly;
    let asked = 0;
    this.#timer = setInterval(() => {
      this.#answers.push(this.#measure(ask));
      if (asked++ % 10 === 0) this.#countProcesses();
    }, PROBE_EVERY_MS);
  }

  static async start(gitaly: GitalyProcess): Promise<Probe> {
    const client = await gitaly.connect();
    const request = {
      repository: { storageName: 'default', relativePath: 'victim.git' },
      revision: Buffer.from('main'),
    };
    const ask = async (): Promise<void> => {
      const { commit } = await client.commit.findCommit(request, { timeoutMs: PROBE_TIMEOUT_MS });
      assert.ok(commit);
    };
    await ask();
    return new Probe(gitaly, ask);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    // The server may be gone before it has responded to the last requests.
    void Promise.allSettled(this.#answers);
  }

  /** Returns the delays in milliseconds, the shortest first. */
  async stop(): Promise<{ readonly delays: number[]; readonly processorDelays: number[] }> {
    await sleep(2 * PROBE_EVERY_MS); // probes that show how the flood ended
    clearInterval(this.#timer);
    const answers = await Promise.all(this.#answers);
    const sorted = (values: number[]): number[] => values.sort((a, b) => a - b);
    return {
      delays: sorted(answers.map(({ delay }) => delay)),
      processorDelays: sorted(answers.map(({ processor }) => processor)),
    };
  }

  async #measure(ask: () => Promise<unknown>): Promise<Delay> {
    const { pid } = this.#gitaly;
    const [askedAt, cpuBefore] = [performance.now(), cpuSeconds(pid)];
    await ask();
    return { delay: performance.now() - askedAt, processor: (cpuSeconds(pid) - cpuBefore) * 1000 };
  }

  #countProcesses(): void {
    const running = processIdsIn(this.#gitaly.directory).map(commandLine);
    const gits = running.filter((line) => line.startsWith('git '));
    this.mostProcesses = Math.max(this.mostProcesses, gits.length);
  }
}

/** @param sorted the smallest first. */
function percentile99(sorted: readonly number[]): number {
  return sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 0;
}

const ms = (value = 0): string => `${Math.round(value)} ms`;
const mib = (bytes: number): number => Math.round(bytes / 1024 ** 2);
