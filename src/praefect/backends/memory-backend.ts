import { messageOf } from '#base/gitaly-error';
import { pingNodes } from '../checks/ping-nodes.ts';
import type { PraefectConfig } from '../config/schema.ts';
import { ErrorThresholds } from '../elections/error-thresholds.ts';
import { LocalPrimary } from '../elections/local-primary.ts';
import { healthOf, startElections } from '../elections/start-elections.ts';
import { MemoryQueue } from '../replication/memory-queue.ts';
import { WritePauses } from '../replication/write-pauses.ts';
import { PathRouter } from '../routing/path-router.ts';
import { MemoryStore } from '../store/memory-store.ts';
import type { Backend, BackendOptions } from './backend.ts';
import { readerChoice } from './reader-choice.ts';

/** Elects the primaries and starts with an empty state, which ends with the process. */
export async function startMemoryBackend(options: BackendOptions): Promise<Backend> {
  await using building = new AsyncDisposableStack();
  const thresholds = ErrorThresholds.of(options.config);
  const failsOver = options.config.failover.enabled;
  const elections = await startElections(
    options,
    {
      thresholds,
      choiceOf: (virtualStorage, nodes) =>
        new LocalPrimary({ virtualStorage, nodes, failsOver, logger: options.logger }),
    },
    building,
  );
  const store = new MemoryStore();
  const resources = building.move();
  return {
    router: new PathRouter(elections, store.records(), readerChoice(options)),
    store,
    queue: new MemoryQueue(),
    pauses: new WritePauses(),
    services: [],
    handlers: new Map(),
    health: healthOf(elections),
    failedChecks: (timeoutMs) => failuresOf(options.config, timeoutMs),
    onRecorded: async () => {},
    onNodeError: (node, operation, error) =>
      elections.get(node.config.virtualStorage)?.callFailed(node, operation, error),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Runs the checks that need no database: those of the nodes. */
async function failuresOf(config: PraefectConfig, timeoutMs: number): Promise<ReadonlyMap<string, string>> {
  try {
    await pingNodes(config, { print: () => {}, timeoutMs });
    return new Map();
  } catch (error) {
    return new Map([['gitaly node connectivity & disk access', messageOf(error)]]);
  }
}
