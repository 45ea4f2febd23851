import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { commandLine, cpuMsIn, processIdsIn } from '#testkit/measure/process-usage';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startTimeServer } from '#testkit/servers/time-server';
import { type MethodInfo, methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';
import { Caller, type HostileCall, type Outcome } from './caller.ts';
import { findingsOf, namesRepository } from './findings.ts';
import { validCall } from './plan.ts';
import { toReplay } from './replay.ts';
import { differences, Sandbox } from './sandbox.ts';
import { SHARED } from './seeds.ts';
import { startWebServer } from './web-server.ts';

/** A call, or calls of which one did it, and what is wrong. */
export interface Finding {
  readonly what: readonly string[];
  /** As JSON, to repeat them with `HOSTILE_REPLAY`. */
  readonly calls: readonly string[];
}

/** Calls that change a repository get one each, in here. */
const OWN = 'own';
/** Files of the server itself, and those that calls own. */
const CHANGING = [
  ...['run', 'sockets', 'gitaly.socket', 'default/+gitaly', `default/${OWN}`, 'template.git'],
  'default/group', // the namespace of valid requests
  ...['backups', 'bundles', 'pools.db', 'pools.db-wal', 'pools.db-shm'],
];
/** The entries of the storage. */
const KNOWN = [SHARED, OWN, 'group', 'other.git', '+gitaly', '.gitaly-metadata'];
/** Settings of a repository that a call is there to change. */
const MAY_CHANGE: Readonly<Record<string, RegExp>> = {
  // A reference outside of refs/, as Gitaly writes it.
  FetchSourceBranch: /^appeared: .*\.git\/[^/]+$/,
  ApplyGitattributes: /\/info(?:\/attributes)?$/,
  RestoreCustomHooks: /\/custom_hooks(?:$|\/)/,
  SetCustomHooks: /\/custom_hooks(?:$|\/)/,
  SetFullPath: /\/config$/,
  // Maintenance takes settings out that older servers have left.
  GarbageCollect: /\/config$/,
  OptimizeRepository: /\/config$/,
};
/** Calls under way at once. */
const CONCURRENCY = 6;
/** git processes that wait for the next call. */
const POOLED = / cat-file --batch-command| update-ref -z --stdin| diff-tree -r --stdin/;
/** Time that a process has to end after its call. */
const EXIT_LIMIT_MS = 5_000;
/** Far above the time of any call that ends, and that of a server on a busy machine. */
const CPU_LIMIT_MS = 15_000;
const MEASURED_CALL_LIMIT_MS = 300_000;
/** Time between two looks at the CPU time of a running call. */
const LOOK_MS = 200;
const COMPILED = /--conditions=source|\/dist\/cli\//;

interface CampaignStart {
  /** A module that changes those of the server, which loads it first. */
  readonly preload?: string;
  /** CPU time of the server and its processes from which a measured call counts as endless. */
  readonly cpuLimitMs?: number;
}

/** The time of a call that has ended, or of one that has reached a limit and was left. */
export interface MeasuredCall {
  readonly hasEnded: boolean;
  readonly cpuMs: number;
}

interface CampaignOptions {
  readonly sandbox: Sandbox;
  readonly gitaly: GitalyProcess;
  readonly caller: Caller;
  readonly cpuLimitMs: number;
  readonly log: LogByCall;
  /** Servers that valid requests name. */
  readonly servers: readonly AsyncDisposable[];
}

/** A server in a sandbox, and a client that is not well-behaved. */
export class Campaign implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly #gitaly: GitalyProcess;
  readonly #caller: Caller;
  readonly #cpuLimitMs: number;
  readonly #log: LogByCall;
  readonly #servers: readonly AsyncDisposable[];
  #calls = 0;
  #exit: number | NodeJS.Signals | undefined;

  private constructor({ sandbox, gitaly, caller, cpuLimitMs, log, servers }: CampaignOptions) {
    this.sandbox = sandbox;
    this.#gitaly = gitaly;
    this.#caller = caller;
    this.#cpuLimitMs = cpuLimitMs;
    this.#log = log;
    this.#servers = servers;
    void gitaly.exited.then((exit) => {
      this.#exit = exit;
    });
  }

  static async start({ preload, cpuLimitMs = CPU_LIMIT_MS }: CampaignStart = {}): Promise<Campaign> {
    const timeServer = await startTimeServer();
    let root = '';
    const web = await startWebServer(() => root);
    const sandbox = new Sandbox({ timeServer: timeServer.address, web: web.url });
    root = sandbox.web;
    const log = new LogByCall();
    mkdirSync(join(sandbox.storage, OWN));
    const { directory, home, workingDirectory } = sandbox;
    const gitaly = await startGitalyProcess({
      directory,
      workingDirectory,
      config: bucketsIn(directory),
      env: { HOME: home },
      onLog: (text) => log.add(text),
      ...(preload !== undefined && { preload, fromSource: true }),
    });
    const caller = await Caller.connect(gitaly.address, join(directory, 'sockets'));
    sandbox.copyTarget(SHARED);
    return new Campaign({ sandbox, gitaly, caller, cpuLimitMs, log, servers: [timeServer, web] });
  }

  /** Number of calls made. */
  get calls(): number {
    return this.#calls;
  }

  /** Returns the methods that the server does not refuse as unknown. */
  async servedMethods(): Promise<MethodInfo[]> {
    const all = servedByGitaly.flatMap(({ methods }) => methods.map(methodInfo));
    const outcomes = await Promise.all(all.map((method) => this.#caller.call(emptyCall(method), 'probe')));
    return all.filter((_method, index) => outcomes[index]?.code !== 'UNIMPLEMENTED');
  }

  /** Returns the relative path of the repository for a call. */
  targetOf(method: MethodInfo): string {
    return method.operation === 'accessor' && !/Hook/.test(method.name)
      ? SHARED
      : `${OWN}/${this.#calls++}.git`;
  }

  /** Makes the valid call of a method and returns its outcome. */
  async callValidly(method: MethodInfo): Promise<Outcome> {
    const call = validCall(method, this.sandbox, this.targetOf(method));
    this.#prepare(call);
    return await this.#caller.call(call, 'valid');
  }

  /** Makes calls, and checks what they have left behind. */
  async run(calls: readonly HostileCall[]): Promise<Finding[]> {
    const [findings, traces] = await this.#round(calls);
    if (traces.length === 0) return findings;
    if (this.#exit !== undefined || calls.length === 1)
      return [...findings, { what: traces, calls: calls.map((call) => toReplay(call, this.sandbox)) }];
    // Which one was it? Another time, one after the other.
    for (const call of calls) {
      const [, alone] = await this.#round([call]);
      if (alone.length > 0) return [...findings, { what: alone, calls: [toReplay(call, this.sandbox)] }];
    }
    return [...findings, { what: traces, calls: calls.map((call) => toReplay(call, this.sandbox)) }];
  }

  /** Makes one call, and returns the CPU time that the server and its processes took for it. */
  async measure(call: HostileCall): Promise<MeasuredCall> {
    this.#prepare(call);
    const before = this.usedCpuMs();
    const takenMs = (): number => this.usedCpuMs() - before;
    let outcome: Outcome | undefined;
    const calling = this.#caller
      .call(call, `measured-${this.#calls++}`, MEASURED_CALL_LIMIT_MS)
      .then((found) => {
        outcome = found;
      });
    while (outcome === undefined && takenMs() < this.#cpuLimitMs)
      await Promise.race([calling, setTimeout(LOOK_MS)]);
    const measured = { hasEnded: endedByItself(outcome), cpuMs: takenMs() };
    if (call.relativePath !== SHARED) this.sandbox.remove(call.relativePath);
    return measured;
  }

  /** Returns the CPU time that the server and its processes have taken. */
  usedCpuMs(): number {
    return cpuMsIn(this.sandbox.directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#caller[Symbol.asyncDispose]();
    await this.#gitaly[Symbol.asyncDispose]();
    for (const server of this.#servers) await server[Symbol.asyncDispose]();
    this.sandbox[Symbol.dispose]();
  }

  /** Lists what is wrong with single calls, and what is wrong after all of them. */
  async #round(calls: readonly HostileCall[]): Promise<[Finding[], string[]]> {
    for (const call of calls) this.#prepare(call);
    const before = this.sandbox.state(CHANGING);
    const settings = calls.map(({ relativePath }) => this.#settingsOf(relativePath));
    const findings: Finding[] = [];
    const waiting = calls.entries();
    const worker = async (): Promise<void> => {
      for (const [, call] of waiting) {
        const id = `hostile-${this.#calls++}`;
        const outcome = await this.#caller.call(call, id);
        await this.#log.settled(id);
        const what = findingsOf(call, outcome, this.#log.take(id));
        if (what.length > 0) findings.push({ what, calls: [toReplay(call, this.sandbox)] });
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));

    const traces = [...(await this.#leftProcesses()), ...this.#changes(calls, before, settings)];
    if (this.#exit !== undefined) traces.push(`the server has ended: ${this.#exit} ${this.#log.tail()}`);
    for (const { relativePath } of calls) if (relativePath !== SHARED) this.sandbox.remove(relativePath);
    return [findings, traces];
  }

  #prepare({ method, relativePath }: HostileCall): void {
    // What is to be created must not be there.
    if (relativePath !== SHARED && !/^(?:Create(?!ObjectPool)|Replicate|RestoreRepository)/.test(method.name))
      this.sandbox.copyTarget(relativePath);
  }

  #settingsOf(relativePath: string): Map<string, string> | undefined {
    return relativePath === SHARED ? undefined : this.sandbox.settingsOf(relativePath);
  }

  #changes(
    calls: readonly HostileCall[],
    before: ReadonlyMap<string, string>,
    settings: readonly (ReadonlyMap<string, string> | undefined)[],
  ): string[] {
    // A call may create the repository that it names; it may not touch another.
    const created = calls.some((call) => namesRepository(call) && call.relativePath !== SHARED);
    if (created) this.sandbox.clearStorage(KNOWN);
    // A mirror may be any repository, as in Gitaly: it is GitLab that chooses the URL.
    const isMirrored = calls.some(({ method, value }) => {
      return method.name === 'UpdateRemoteMirror' && value.includes(this.sandbox.otherRepository);
    });
    const lines = differences(before, this.sandbox.state(CHANGING)).filter(
      (line) =>
        !(created && line === `changed: ${this.sandbox.storage}`) &&
        !(isMirrored && line.includes(`: ${this.sandbox.otherRepository}/`)),
    );
    for (const [index, { relativePath }] of calls.entries()) {
      const old = settings[index];
      const isThere = existsSync(join(this.sandbox.storage, relativePath));
      if (old === undefined || old.size === 0 || !isThere) continue;
      const method = calls[index]?.method.name ?? '';
      const changed = differences(old, this.sandbox.settingsOf(relativePath));
      lines.push(...changed.filter((line) => MAY_CHANGE[method]?.test(line) !== true));
    }
    return lines;
  }

  /** Waits until only processes are left that wait for calls; lists the others. */
  async #leftProcesses(): Promise<string[]> {
    const deadline = performance.now() + EXIT_LIMIT_MS;
    for (;;) {
      const left = processIdsIn(this.sandbox.directory)
        .filter((pid) => pid !== this.#gitaly.pid)
        .map(commandLine)
        .filter((line) => line !== '' && !POOLED.test(line) && !COMPILED.test(line));
      if (left.length === 0 || this.#exit !== undefined) return [];
      if (performance.now() > deadline)
        return left.map((line) => `a process outlives its call: ${line.slice(0, 1000)}`);
      await setTimeout(20); // before the next look
    }
  }

  /** Lists what calls have left in the server's temporary directories. */
  remains(): string[] {
    const temporary = join(this.sandbox.storage, '+gitaly/tmp');
    return existsSync(temporary) ? readdirSync(temporary) : [];
  }
}

/** Configures what calls need that keep files outside of the storage. */
function bucketsIn(directory: string): string {
  return [
    `[backup]\ngo_cloud_url = '${directory}/backups'`,
    `[bundle_uri]\ngo_cloud_url = '${directory}/bundles'`,
    `[pool_metadata]\ndatabase_path = '${directory}/pools.db'`,
  ].join('\n');
}

function emptyCall(method: MethodInfo): HostileCall {
  return {
    method,
    field: '',
    index: 0,
    requests: [{}],
    value: Buffer.alloc(0),
    isRaw: false,
    relativePath: SHARED,
  };
}

/** Lines of a server's log, by the call that they are about. */
class LogByCall {
  readonly #lines = new Map<string, string>();
  #rest = '';
  #tail = '';

  add(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      this.#tail = `${this.#tail}${line}\n`.slice(-4000);
      const id = /correlation_id=(hostile-\d+)/.exec(line)?.[1];
      if (id !== undefined) this.#lines.set(id, `${this.#lines.get(id) ?? ''}${line}\n`);
    }
  }

  /** Waits until the line of a finished call is there: it is written a little later. */
  async settled(id: string): Promise<void> {
    for (let attempt = 0; attempt < 50 && !this.#lines.get(id)?.includes('finished'); attempt++)
      await setTimeout(2); // before the next look
  }

  take(id: string): string {
    const lines = this.#lines.get(id) ?? '';
    this.#lines.delete(id);
    return lines;
  }

  tail(): string {
    return JSON.stringify(this.#tail);
  }
}

function endedByItself(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && outcome.code !== 'DEADLINE_EXCEEDED';
}
