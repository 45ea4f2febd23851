import type { MetricsRegistry } from './metrics-registry.ts';

interface RepositoryCount {
  readonly path: string;
  readonly prefix: string;
  readonly count: number;
}

/** Declares `gitaly_total_repositories_count`, which is read from `counts` at each collection. */
export function repositoryCountMetrics(
  registry: MetricsRegistry,
  counts: () => Iterable<RepositoryCount>,
): void {
  const total = registry.gauge({
    name: 'gitaly_total_repositories_count',
    help: 'Gauge of number of repositories by storage path and repository prefix',
    labels: ['path', 'prefix'],
  });
  registry.beforeCollect(() => {
    for (const { path, prefix, count } of counts()) total.with({ path, prefix }).set(count);
  });
}
