import { gauge } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

interface RepositoryCount {
  readonly path: string;
  readonly prefix: string;
  readonly count: number;
}

export const REPOSITORIES = {
  total: gauge(
    'gitaly_total_repositories_count',
    ['path', 'prefix'],
    'Gauge of number of repositories by storage path and repository prefix',
  ),
};

/** Declares the number of repositories, which is read from `counts` at each collection. */
export function repositoryCountMetrics(
  registry: MetricsRegistry,
  counts: () => Iterable<RepositoryCount>,
): void {
  const { total } = registry.declare(REPOSITORIES);
  registry.beforeCollect(() => {
    for (const { path, prefix, count } of counts()) total.with({ path, prefix }).set(count);
  });
}
