import { callsOfProcess } from '#calls/family-calls';
import type { ConsoleOptions } from '#console/index';
import type { Link } from '#workers/link';

/** A process of the cluster, with the channel to it while it runs. */
interface Operated {
  readonly link: Link | undefined;
}

/**
 * Returns the calls of a cluster for the console; this process has started the processes of the
 * cluster.
 *
 * @param nodes nodes by the names of their storages.
 */
export function clusterCalls(
  praefect: Operated,
  nodes: ReadonlyMap<string, Operated>,
): Required<Pick<ConsoleOptions, 'cancel' | 'history' | 'nodes' | 'status'>> {
  const callsOf = (one: Operated) => callsOfProcess(() => one.link);
  const ofPraefect = callsOf(praefect);
  const ofNodes = [...nodes].map(([storage, node]) => ({ storage, calls: callsOf(node) }));
  return {
    status: () => ofPraefect.status(),
    history: () => ofPraefect.history(),
    cancel: async (correlationId) => {
      // Nodes also serve calls that did not come through praefect.
      const counts = await Promise.all(
        [ofPraefect, ...ofNodes.map(({ calls }) => calls)].map((calls) => calls.cancel(correlationId)),
      );
      return counts.reduce<number>((sum, count = 0) => sum + count, 0);
    },
    nodes: {
      status: () =>
        Promise.all(
          ofNodes.map(async ({ calls, storage }) => ({ storage, status: (await calls.status()) ?? null })),
        ),
      history: () =>
        Promise.all(
          ofNodes.map(async ({ calls, storage }) => ({ storage, history: (await calls.history()) ?? null })),
        ),
    },
  };
}
