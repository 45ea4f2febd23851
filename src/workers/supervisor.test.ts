import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { DEFAULT_SETTINGS } from './settings.ts';
import { type OwnServer, Supervisor } from './supervisor.ts';

const IDLE: OwnServer = {
  observer: { running: () => {}, started: () => {}, ended: () => {}, handedOver: () => {}, moved: () => {} },
  directory: undefined,
  serve: () => {},
  connections: () => 0,
  moveConnection: () => false,
  onWorkerEnded: () => {},
};

// The exception came from a timer, which ended the server: where memory was short, that was when a
// busy server wanted a further process.
test('a worker that the system does not let start is reported, and the server goes on', async () => {
  const lines: string[] = [];
  const stream = { write: (line: string) => lines.push(line) };
  const tooLong = 'x'.repeat(1 << 21); // the system refuses such a command
  await using supervisor = new Supervisor({
    settings: { ...DEFAULT_SETTINGS, start: 1 },
    maxProcesses: 2,
    command: { file: import.meta.filename, args: [tooLong], options: [] },
    greeting: () => undefined,
    logger: createLogger({ format: 'text', level: 'info', stream }),
  });

  supervisor.start(IDLE);

  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /a worker process could not be started.* back_off_ms=1000 .*E2BIG/);
  assert.deepEqual(supervisor.serving, []);
});

// Its git went on, and no other worker was started.
test('a worker whose directory cannot be removed has ended all the same', async (context) => {
  const [lines, ended]: [string[], number[]] = [[], []];
  const stream = { write: (line: string) => lines.push(line) };
  const directory = makeScratchDirectory('worker');
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'worker.mjs');
  const value = { version: packageVersion(), directory: '/proc/self/task' };
  const ready = { kind: 'tell', topic: 'supervisor: ready', value };
  writeFileSync(file, `process.send(${JSON.stringify(ready)}, () => process.exit(3));\n`);
  await using supervisor = new Supervisor({
    settings: { ...DEFAULT_SETTINGS, start: 1, backOffMs: 60_000 },
    maxProcesses: 2,
    command: { file, args: [], options: [] },
    greeting: () => undefined,
    logger: createLogger({ format: 'text', level: 'info', stream }),
  });

  supervisor.start({ ...IDLE, onWorkerEnded: (worker) => ended.push(worker) });
  await until(() => lines.some((line) => line.includes('a worker process has failed')));

  assert.deepEqual(ended, [1]);
  assert.match(lines.join(), /a worker process has failed.* reason="exit code 3"/);
});
