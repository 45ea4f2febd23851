import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemErrorCode } from '#base/go/system-error';
import { cpuSeconds, openDescriptors, residentBytes } from '#testkit/measure/process-usage';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

export const REPOSITORY = { storageName: 'default', relativePath: 'victim.git' };

/** Limit of the server's CPU time for a response during a flood. */
const ANSWER_LIMIT_MS = 4000;
const ANSWER_TIMEOUT_MS = 80_000;
const BETWEEN_ANSWERS_MS = 20;
const BATCH_BYTES = 64 * 1024;

/** Effects of a flood on the server. */
export interface Damage {
  /** Growth of resident memory from before the flood to its highest point. */
  readonly grownBytes: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  /** Number of the other client's responses. */
  readonly answers: number;
  /**
   * CPU time of the server during the slowest response, in milliseconds: what holds that up takes
   * it, while on a busy machine every response takes seconds.
   */
  readonly slowestMs: number;
}

/** A server with all its listeners and a repository with one commit, in a separate process. */
export class Victim implements AsyncDisposable {
  readonly gitaly: GitalyProcess;
  readonly commit: string;

  private constructor(gitaly: GitalyProcess, commit: string) {
    this.gitaly = gitaly;
    this.commit = commit;
  }

  static async start(): Promise<Victim> {
    const gitaly = await startGitalyProcess({ everyListener: true });
    const directory = join(gitaly.directory, 'default', REPOSITORY.relativePath);
    initRepository(directory, { commits: 1 });
    const victim = new Victim(gitaly, gitOutput(directory, ['rev-parse', 'main']));
    await victim.flood(() => sleep(200)); // everything is loaded
    return victim;
  }

  /** Opens a raw connection to the TCP listener that drops received data. */
  async connect(): Promise<Socket> {
    return await connectTo(this.gitaly.tcp ?? '');
  }

  /**
   * Floods while another client sends requests repeatedly on its own connection.
   * @throws when that client receives a wrong response, none in time, or fewer than two.
   */
  async flood(attack: () => Promise<unknown>): Promise<Damage> {
    const { pid } = this.gitaly;
    const client = await this.gitaly.connect();
    const [memory, cpu, startedAt] = [residentBytes(pid), cpuSeconds(pid), performance.now()];
    let [highest, answers, slowestMs] = [memory, 0, 0];
    let isOver = false;
    const ask = async (): Promise<void> => {
      while (!isOver || answers < 2) {
        const before = cpuSeconds(pid);
        const request = { repository: REPOSITORY, revision: Buffer.from('main') };
        const { commit } = await client.commit.findCommit(request, { timeoutMs: ANSWER_TIMEOUT_MS });
        assert.equal(commit?.id, this.commit);
        slowestMs = Math.max(slowestMs, (cpuSeconds(pid) - before) * 1000);
        highest = Math.max(highest, residentBytes(pid));
        answers += 1;
        await sleep(BETWEEN_ANSWERS_MS);
      }
    };
    const asking = ask();
    asking.catch(() => undefined); // awaited below
    try {
      await attack();
    } finally {
      isOver = true;
      await asking;
    }
    await client.close();
    assert.ok(slowestMs < ANSWER_LIMIT_MS, `an answer took ${Math.round(slowestMs)} ms of CPU time`);
    const seconds = (performance.now() - startedAt) / 1000;
    return { grownBytes: highest - memory, cpuSeconds: cpuSeconds(pid) - cpu, seconds, answers, slowestMs };
  }

  /** Waits until the server has as many descriptors open as before. */
  async releases(descriptors: number): Promise<void> {
    const open = (): number => openDescriptors(this.gitaly.pid);
    await until(
      () => open() <= descriptors,
      () => `${open()} descriptors, ${descriptors} before`,
      10_000,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isAlive = (await Promise.race([this.gitaly.exited, 'alive'])) === 'alive';
    await this.gitaly[Symbol.asyncDispose]();
    assert.ok(isAlive, `the server died: ${this.gitaly.log()}`);
  }
}

/** Connects to `host:port` or `unix:path`; again while the queue of a Unix socket is full. */
export async function connectTo(address: string): Promise<Socket> {
  const isFull = (error: unknown): undefined => {
    if (systemErrorCode(error) !== 'EAGAIN') throw error;
  };
  let socket: Socket | undefined;
  await until(async () => {
    socket = await connectOnce(address).catch(isFull);
    return socket !== undefined;
  }, 'the queue of a socket is full');
  return socket ?? assert.fail();
}

async function connectOnce(address: string): Promise<Socket> {
  const path = /^unix:(.*)$/.exec(address)?.[1];
  const [host, port] = address.split(':');
  const socket = path === undefined ? connect(Number(port), host) : connect(path);
  socket.on('error', () => undefined); // floods may be disconnected
  await once(socket, 'connect');
  socket.resume();
  return socket;
}

/** Reports whether the other side has closed a connection, or does so in time. */
export async function isCut(socket: Socket, withinMs = 5000): Promise<boolean> {
  if (socket.destroyed || socket.readableEnded) return true;
  return await happens(socket, ['close', 'end'], withinMs);
}

/**
 * Sends pieces, many at a time, until there are no more, the other side closes, or it has accepted
 * none for a while.
 */
export async function pour(socket: Socket, pieces: Iterable<Buffer>, stuckAfterMs = 2000): Promise<number> {
  let sent = 0;
  let batch: Buffer[] = [];
  const flush = async (): Promise<boolean> => {
    const isWritable = !socket.writable || socket.write(Buffer.concat(batch));
    batch = [];
    return socket.writable && (isWritable || (await happens(socket, ['drain', 'close'], stuckAfterMs)));
  };
  for (const piece of pieces) {
    sent += 1;
    batch.push(piece);
    if (batch.length * piece.length >= BATCH_BYTES && !(await flush())) return sent;
  }
  await flush();
  return sent;
}

async function happens(socket: Socket, events: readonly string[], withinMs: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const happened = (): void => resolve(true);
  for (const event of events) socket.once(event, happened);
  const timer = setTimeout(resolve, withinMs, false);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    for (const event of events) socket.off(event, happened);
  }
}

/** Yields the same piece repeatedly. */
export function* repeat(times: number, make: (index: number) => Buffer): Generator<Buffer> {
  for (let index = 0; index < times; index += 1) yield make(index);
}

export function report(context: TestContext, name: string, damage: Damage): void {
  const { grownBytes, cpuSeconds, seconds, answers, slowestMs } = damage;
  context.diagnostic(
    `${name}: +${mib(grownBytes)} MiB, ${cpuSeconds.toFixed(1)} s of processor in ` +
      `${seconds.toFixed(1)} s, ${answers} answers, slowest ${Math.round(slowestMs)} ms`,
  );
}

export function mib(bytes: number): number {
  return Math.round(bytes / 1024 ** 2);
}
