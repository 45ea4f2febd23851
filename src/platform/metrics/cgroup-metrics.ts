import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MetricsRegistry } from './metrics-registry.ts';

/**
 * Declares the metrics of a control group of version 2 (version 1 does not report these numbers).
 * They are read when they are collected.
 *
 * @param group its directory, and its path relative to the mount point: the label.
 */
export function cgroupMetrics(
  registry: MetricsRegistry,
  { directory, path }: { readonly directory: string; readonly path: string },
): void {
  const pressures = (['memory', 'cpu', 'io'] as const).map((resource) => ({
    file: join(directory, `${resource}.pressure`),
    // The kernel reports a "full" line for the processor only to be regular: it is always 0.
    types: resource === 'cpu' ? ['some'] : ['some', 'full'],
    gauge: registry.gauge({
      name: `gitaly_cgroup_${resource}_pressure_percent`,
      help: `Share of time in which some or all processes waited for ${resource}, by window.`,
      labels: ['path', 'type', 'window'],
    }),
  }));
  const events = (['high', 'max'] as const).map((limit) => ({
    limit,
    counter: registry.counter({
      name: `gitaly_cgroup_memory_events_${limit}_total`,
      help: `Times that the memory of the control group reached memory.${limit}.`,
      labels: ['path'],
    }),
  }));
  registry.beforeCollect(() => {
    for (const { file, types, gauge } of pressures) {
      const text = read(file);
      for (const type of types)
        for (const [, window, value] of lineOf(text, type).matchAll(/(avg\d+)=([\d.]+)/g))
          gauge.with({ path, type, window: window ?? '' }).set(Number(value));
    }
    const counts = read(join(directory, 'memory.events'));
    for (const { limit, counter } of events) {
      const count = /^\d+/.exec(lineOf(counts, limit).slice(limit.length + 1))?.[0];
      if (count !== undefined) counter.with({ path }).value = Number(count);
    }
  });
}

function lineOf(text: string, first: string): string {
  return text.split('\n').find((line) => line.startsWith(`${first} `)) ?? '';
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the kernel or the controller does not have it
  }
}
