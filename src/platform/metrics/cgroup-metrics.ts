import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt } from '#base/attempt';
import { counter, gauge } from './metric.ts';
import type { MetricsRegistry } from './metrics-registry.ts';

/** A control group of version 2; version 1 does not report these numbers. */
export const CONTROL_GROUPS = {
  memory: pressure('memory'),
  cpu: pressure('cpu'),
  io: pressure('io'),
  high: memoryEvents('high'),
  max: memoryEvents('max'),
};

function pressure(resource: string) {
  return gauge(
    `gitaly_cgroup_${resource}_pressure_percent`,
    ['path', 'type', 'window'],
    `Share of time in which some or all processes waited for ${resource}, by window.`,
  );
}

function memoryEvents(limit: string) {
  return counter(
    `gitaly_cgroup_memory_events_${limit}_total`,
    ['path'],
    `Times that the memory of the control group reached memory.${limit}.`,
  );
}

/**
 * Declares the metrics of a control group. They are read when they are collected.
 *
 * @param group its directory, and its path relative to the mount point: the label.
 */
export function cgroupMetrics(
  registry: MetricsRegistry,
  { directory, path }: { readonly directory: string; readonly path: string },
): void {
  const metrics = registry.declare(CONTROL_GROUPS);
  registry.beforeCollect(() => {
    for (const resource of ['memory', 'cpu', 'io'] as const) {
      const text = read(join(directory, `${resource}.pressure`));
      // The kernel reports a "full" line for the processor only to be regular: it is always 0.
      for (const type of resource === 'cpu' ? ['some'] : ['some', 'full'])
        for (const [, window, value] of lineOf(text, type).matchAll(/(avg\d+)=([\d.]+)/g))
          metrics[resource].with({ path, type, window: window ?? '' }).set(Number(value));
    }
    const counts = read(join(directory, 'memory.events'));
    for (const limit of ['high', 'max'] as const) {
      const count = /^\d+/.exec(lineOf(counts, limit).slice(limit.length + 1))?.[0];
      if (count !== undefined) metrics[limit].with({ path }).value = Number(count);
    }
  });
}

function lineOf(text: string, first: string): string {
  return text.split('\n').find((line) => line.startsWith(`${first} `)) ?? '';
}

function read(file: string): string {
  // On failure: the kernel or the controller does not have it
  return attempt(() => readFileSync(file, 'utf8')) ?? '';
}
