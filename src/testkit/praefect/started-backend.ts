/** Backends of a Praefect with a database, for tests of how their parts are connected. */
import type { TestContext } from 'node:test';
import type { Backend } from '#praefect/backends/backend';
import { startDatabaseBackend } from '#praefect/backends/database-backend';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import { createPraefectMetrics } from '#praefect/metrics/praefect-metrics';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import type { ProcessFamily } from '#workers/family';
import { ScriptedNode } from '../feed/scripted-node.ts';
import { lineLogger } from '../line-logger.ts';
import { replaceMethod } from '../replace-method.ts';
import type { TestDatabase } from '../servers/start-postgres.ts';
import { standIn } from '../stand-in.ts';

export interface StartedBackendOptions {
  readonly family?: ProcessFamily;
  /** Additional keys of the configuration. */
  readonly keys?: object;
  readonly signal?: AbortSignal;
}

/** Starts a backend with the healthy nodes `a` and `b` of the virtual storage `default`. */
export async function startBackend(
  context: TestContext,
  { config: database }: TestDatabase,
  { family, keys = {}, signal = new AbortController().signal }: StartedBackendOptions = {},
) {
  const { lines, logger } = lineLogger();
  const checked = [checkedNode('a'), checkedNode('b')] as const;
  for (const { node } of checked)
    Object.assign(node, { connection: new ScriptedNode(node.storage).connection }); // without a feed
  const members = checked.map(({ node: { config } }) => ({
    address: config.address,
    storage: config.storage,
  }));
  const { config } = praefectConfigFrom(
    standIn({
      ...{ socket_path: '/s', database },
      virtual_storage: [{ name: 'default', node: members }],
      ...keys,
    }),
  );
  const metrics = createPraefectMetrics({
    latencyBuckets: [],
    reconciliationBuckets: [1],
    storages: new Map([['default', ['a', 'b']]]),
  });
  const nodes = new Map([['default', checked.map(({ node }) => node)]]);
  const backend: Backend = await startDatabaseBackend({ config, nodes, metrics, logger, family }, signal);
  context.after(() => backend[Symbol.asyncDispose]());
  return { backend, checked, lines };
}

/** Timers of periodic work, which a test fires. */
export interface PeriodicTimers {
  /** Delays of the timers that were set and have neither fired nor been cleared. */
  delays(): readonly number[];
  /** Fires the timers with a delay. */
  fire(delayMs: number): void;
}

/** Holds the timers of `periodic` that are set from now on; others fire as usual. */
export function holdPeriodic(context: TestContext): PeriodicTimers {
  const { clearTimeout, setTimeout } = globalThis;
  const held = new Map<unknown, { readonly delayMs: number; readonly begin: () => void }>();
  const set = (begin: () => void, delayMs = 0, ...args: []): NodeJS.Timeout => {
    if (new Error().stack?.includes('/repair/periodic.ts') !== true)
      return setTimeout(begin, delayMs, ...args);
    const timer = setTimeout(() => {}, delayMs).unref();
    held.set(timer, { delayMs, begin });
    return timer;
  };
  replaceMethod(context, globalThis, 'setTimeout', standIn<typeof setTimeout>(set));
  replaceMethod(context, globalThis, 'clearTimeout', (timer) => {
    held.delete(timer);
    clearTimeout(timer);
  });
  return {
    delays: () => [...held.values()].map(({ delayMs }) => delayMs).sort((one, other) => one - other),
    fire: (delayMs) => {
      for (const [timer, each] of held) {
        if (each.delayMs !== delayMs) continue;
        held.delete(timer);
        each.begin();
      }
    },
  };
}

/** A node for tests whose checks fail with an error that a test sets. */
interface CheckedNode {
  readonly node: GitalyNode;
  /** Number of checks. */
  checks: number;
  failure: unknown;
}

export function checkedNode(storage: string): CheckedNode {
  const failure: unknown = undefined;
  const checked = { checks: 0, failure };
  const node = {
    storage,
    config: { virtualStorage: 'default', storage, address: `tcp://${storage}:8075`, token: undefined },
    onDisconnect: () => {},
    isServing: async (_timeoutMs: number, onFailure: (error: unknown) => void) => {
      checked.checks++;
      if (checked.failure !== undefined) onFailure(checked.failure);
      return checked.failure === undefined;
    },
  };
  return Object.assign(checked, { node: standIn<GitalyNode>(node) });
}
