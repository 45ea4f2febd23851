/** A feed of scripted nodes, for tests. */
import type { Database } from '#praefect/database/database';
import { recordChanges } from '#praefect/feed/record-changes';
import { createTestFeed, VIRTUAL_STORAGE } from './feed-database.ts';
import { ScriptedNode, ScriptedNodeEvents } from './scripted-node.ts';

/** Nodes `gitaly-1` to `gitaly-3`, and what makes events from the changes of their repositories. */
export interface ScriptedFeed {
  readonly database: Database;
  readonly nodes: readonly [ScriptedNode, ScriptedNode, ScriptedNode];
  readonly reported: ScriptedNodeEvents;
  /** Storages of nodes that are not healthy. */
  readonly unhealthy: Set<string>;
  readonly problems: unknown[];
  record(isBlocked?: readonly number[]): ReturnType<typeof recordChanges>;
}

/** Starts an empty feed. */
export async function startScriptedFeed(database: Database): Promise<ScriptedFeed> {
  await createTestFeed(database);
  const nodes = [
    new ScriptedNode('gitaly-1'),
    new ScriptedNode('gitaly-2'),
    new ScriptedNode('gitaly-3'),
  ] as const;
  const unhealthy = new Set<string>();
  const problems: unknown[] = [];
  const reported = new ScriptedNodeEvents();
  const options = {
    database,
    nodes: new Map([[VIRTUAL_STORAGE, nodes.map(({ node }) => node)]]),
    isHealthy: ({ storage }: { readonly storage: string }) => !unhealthy.has(storage),
    nodeEvents: reported.nodeEvents,
    onProblem: (error: unknown) => void problems.push(error),
  };
  const record = async (isBlocked: readonly number[] = []) => await recordChanges(options, isBlocked);
  return { database, nodes, reported, unhealthy, problems, record };
}
