// Runs files of tests, one after another, for test-process.ts: `node worker.ts TIMEOUT_MS`. Loading
// the sources takes more CPU time than the tests of most files. The paths come in lines on a
// socket, which takes the messages of file-result.ts.
//
// `run` makes a separate root for each file, so the hooks at the top of a file are for that file.
// It ends when nothing keeps the process running, as the process of a single file would.

import './own-modules.ts';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { setImmediate as immediate } from 'node:timers/promises';
import { ExecutedCode } from './executed-code.ts';
import { FileReport } from './file-report.ts';
import type { FileResult, WorkerMessage } from './file-result.ts';
import { ignorePromises } from './ignore-promises.ts';

const SOCKET = 3;
const MAX_PATH_BYTES = 4096;
/** Time in which sockets, timers and processes of a file have to be gone after its last test. */
const MAX_DRAIN_MS = 30_000;
/** Time in which a file has to register its first test. */
const MAX_LOAD_MS = 20_000;
const RUNNER_CHECK_MS = 1000;
const TICK_MS = 10; // USER_HZ is 100 on all platforms of Node
/** The real clock: tests replace the global functions while they run. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;

/** Ends what this process has started, and itself, when the runner was killed: it cannot do so then. */
function watchRunner(): void {
  const runner = process.ppid;
  const look = (): void => {
    if (process.ppid !== runner) process.kill(-process.pid, 'SIGKILL');
  };
  setInterval(look, RUNNER_CHECK_MS).unref();
}

/** Blocks until the next path arrives. Returns `''` at the end. */
function nextFile(): string {
  const buffer = Buffer.alloc(MAX_PATH_BYTES);
  let length = 0;
  while (length === 0 || buffer[length - 1] !== 0x0a) {
    const count = readSync(SOCKET, buffer, length, buffer.length - length, null);
    if (count === 0) return '';
    length += count;
  }
  return buffer.toString('utf8', 0, length - 1);
}

function send(message: WorkerMessage): void {
  let rest = Buffer.from(`${JSON.stringify(message)}\n`);
  while (rest.length > 0) rest = rest.subarray(writeSync(SOCKET, rest));
}

/** Returns the CPU time of this process and, on Linux, of those that it has waited for. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000 + childrenCpuMs();
}

function childrenCpuMs(): number {
  if (process.platform !== 'linux') return 0;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [cutime, cstime] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(13, 15);
  return (Number(cutime) + Number(cstime)) * TICK_MS;
}

/** Returns what the next file inherits: the variables, the working directory, clock and timers. */
function inherited(): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>([
    ...Object.entries(process.env),
    ['the working directory', process.cwd()],
    ['performance.now', performance.now],
    ['Date.now', Date.now],
    ...(['setTimeout', 'setInterval', 'setImmediate'] as const).map(
      (name) => [name, globalThis[name]] as const,
    ),
  ]);
}

/** Returns the names of what is different. */
function changes(before: ReturnType<typeof inherited>, after: ReturnType<typeof inherited>): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name));
}

/** Reports a file whose tests have ended, and which keeps the process running, and exits. */
function watchEnd(
  report: FileReport,
  limitMs: number,
  finish: () => FileResult,
): { restart(): void; stop(): void } {
  const timer = setInterval(() => {
    if (!report.isComplete) return;
    const resources = [...new Set(process.getActiveResourcesInfo())].join(', ');
    report.addProblem(`The process does not end after the last test: it still has ${resources}.`);
    send({ result: finish(), isLast: true });
    process.exit(1);
  }, limitMs).unref();
  return { restart: () => void timer.refresh(), stop: () => clearInterval(timer) };
}

async function runFile(file: string, timeout: number): Promise<FileResult> {
  const before = { inherited: inherited(), cpuMs: cpuMs(), timeMs: performance.now() };
  const report = new FileReport(file);
  const finish = (): FileResult => ({
    file,
    ...report.end(),
    durationMs: performance.now() - before.timeMs,
    cpuMs: cpuMs() - before.cpuMs,
  });
  // `run` ends with the event `beforeExit`, which is emitted again only if the loop has run.
  await immediate();
  const end = watchEnd(report, Math.min(MAX_DRAIN_MS, timeout), finish);
  // A file may wait for something that does not keep the process running before its first test.
  const loading = startTimer(() => undefined, MAX_LOAD_MS);
  for await (const event of run({ files: [file], isolation: 'none', timeout })) {
    if (event.type === 'test:dequeue') send({ started: event.data.name });
    if (event.type === 'test:enqueue') stopTimer(loading);
    report.add(event);
    end.restart();
  }
  stopTimer(loading);
  end.stop();
  await executed?.save(file);
  const changed = changes(before.inherited, inherited());
  if (changed.length > 0)
    report.addProblem(
      `The file leaves changes for the next file in the process: ${changed.join(', ')}. ` +
        'Undo them, or add "// Own process: REASON" at the head of the file.',
    );
  return finish();
}

ignorePromises();
watchRunner();
const { run } = await import('node:test');
process.env.NODE_TEST_WORKER_ID = '1'; // as `run` sets it
const timeout = Number(process.argv[2]);
using executed = process.env.TEST_RECORD === '1' ? await ExecutedCode.start(process.cwd()) : undefined;
for (let file = nextFile(); file !== ''; file = nextFile()) send({ result: await runFile(file, timeout) });
