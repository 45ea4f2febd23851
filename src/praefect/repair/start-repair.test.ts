import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { lineLogger } from '#testkit/line-logger';
import { replaceMethod } from '#testkit/replace-method';
import { until } from '#testkit/until';
import { praefectConfigFrom } from '../config/load-praefect-config.ts';
import type { Database } from '../database/database.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { startRepair } from './start-repair.ts';

/** A node with the parts that the searches use. */
const nodeOf = (storage: string, exists = false) =>
  ({
    ...{ storage, config: { virtualStorage: 'default', storage } },
    connection: { repository: { repositoryExists: async () => ({ exists }) } },
  }) as unknown as GitalyNode;

const VIRTUAL_STORAGE = { name: 'default', node: [{ storage: 'a', address: 'unix:/a' }] };

/** A timer of a search: its delay, and the work that it begins. */
interface Planned {
  readonly delayMs: number;
  readonly begin: () => void;
}

interface Options {
  readonly keys?: object;
  readonly verifies?: boolean;
  readonly nodes?: readonly GitalyNode[];
  readonly database?: Database;
}

/** Starts the searches of a configuration, whose timers do not fire. */
function start(
  context: TestContext,
  { keys = {}, nodes = [], verifies = true, database = unreachable() }: Options = {},
) {
  const { lines, logger } = lineLogger();
  const counted: string[] = [];
  const planned: Planned[] = [];
  const resources = new AsyncDisposableStack();
  context.after(() => resources.disposeAsync());
  const plan = (begin: () => void, delayMs?: number): NodeJS.Timeout => {
    const timer = { delayMs: delayMs ?? 0, begin, unref: () => timer };
    planned.push(timer);
    return timer as unknown as NodeJS.Timeout; // all that is used of it
  };
  const cancel = (timer: unknown): void => {
    const at = planned.indexOf(timer as Planned);
    if (at !== -1) planned.splice(at, 1);
  };
  replaceMethod(context, globalThis, 'setTimeout', plan as typeof setTimeout);
  replaceMethod(context, globalThis, 'clearTimeout', cancel);
  startRepair(
    {
      config: praefectConfigFrom({ virtual_storage: [VIRTUAL_STORAGE], socket_path: '/s', ...keys } as never)
        .config,
      nodes: new Map([['default', nodes]]),
      metrics: {
        repair: {
          verifier: {
            dequeued: (...labels) => counted.push(`dequeued ${labels.join(' ')}`),
            completed: (...labels) => counted.push(`completed ${labels.join(' ')}`),
            released: (leases) => counted.push(`released ${leases}`),
          },
          reconciliationTook: (seconds) => counted.push(`reconciliation ${seconds >= 0}`),
        },
      },
      logger,
    },
    { database, isHealthy: () => true, verifies },
    resources,
  );
  return {
    ...{ counted, lines, planned },
    /** Fires the timers that were set since the last call. Returns their delays. */
    fire: (): readonly number[] => {
      const due = planned.splice(0);
      for (const { begin } of due) begin();
      return due.map(({ delayMs }) => delayMs);
    },
  };
}

/** A database whose queries all fail. */
function unreachable(): Database {
  const fail = () => Promise.reject(new Error('no database'));
  // The searches only query it.
  return new Proxy({}, { get: () => fail }) as unknown as Database;
}

/** A database with a replica on the storage `a` that was never verified. */
function withReplica(): Database {
  const replica = { repository_id: 1, virtual_storage: 'default', relative_path: 'x.git', storage: 'a' };
  return {
    rows: async () => [{ ...replica, replica_path: 'x' }],
    transaction: async () => undefined,
  } as unknown as Database;
}

test('replicas are verified and reconciled in the background, unless that is off', (context) => {
  const off = { scheduling_interval: '0s' };
  const cases: readonly (readonly [Options, readonly number[]])[] = [
    // At once, after two and after ten seconds. The cleanup is on by default, and begins at once.
    [{}, [0, 2000, 10_000, 0]],
    [{ verifies: false }, [0, 0]],
    [{ keys: { background_verification: { verification_interval: '0s' } } }, [0, 0]],
    [{ keys: { reconciliation: off } }, [2000, 10_000, 0]],
    [{ keys: { reconciliation: off, repositories_cleanup: { run_interval: '1h' } } }, [2000, 10_000, 0]],
    [{ keys: { reconciliation: off }, verifies: false }, [0]],
  ];

  const delays = cases.map(([options]) => start(context, options).fire());

  assert.deepEqual(
    delays,
    cases.map(([, expected]) => expected),
  );
});

test('the search for repositories without a record can be switched off', (context) => {
  const keys = { repositories_cleanup: { run_interval: '0s' } };
  assert.deepEqual(start(context, { keys, verifies: false }).fire(), [0]);
});

test('a search that fails is logged under its own name, and begins again later', async (context) => {
  const { counted, fire, lines } = start(context, { nodes: [nodeOf('a'), nodeOf('b')] });
  const byDelay = (one: number, other: number): number => one - other;
  assert.deepEqual([...fire()].sort(byDelay), [0, 0, 2000, 10_000]);

  await until(() => lines.length === 4);

  assert.deepEqual(
    lines.map(({ component, error, level, msg }) => [component, level, msg, error].join(', ')).sort(),
    [
      'metadata_verifier, error, failed a background verification run, no database',
      'metadata_verifier, error, failed releasing expired leases, no database',
      'reconciler, error, automatic reconciliation failed, no database',
      'repocleaner.log_warn_action, error, failed to search for untracked repositories, no database',
    ],
  );
  const again: number[] = [];
  await until(() => again.push(...fire()) === 4);
  // Copies are queued every five minutes, storages that are due are searched each half hour.
  assert.deepEqual(again.sort(byDelay), [2000, 10_000, 300_000, 1_800_000]);
  assert.equal(counted[0], 'reconciliation true');
});

for (const [exists, result, reconciledAfterMs] of [
  [false, 'invalid', 10_000],
  [true, 'valid', 300_000],
] as const) {
  test(`after a replica that is ${result}, copies are queued in ${reconciledAfterMs} ms`, async (context) => {
    const keys = { repositories_cleanup: { run_interval: '0s' } };
    const nodes = [nodeOf('a', exists)];
    const { counted, fire, planned } = start(context, { keys, nodes, database: withReplica() });
    fire();

    await until(() => counted.includes(`completed default a ${result}`) && planned.length === 3);

    // The next verification, the release of its leases, the reconciliation.
    assert.deepEqual(
      planned.map(({ delayMs }) => delayMs).sort((one, other) => one - other),
      [2000, 10_000, reconciledAfterMs],
    );
  });
}
