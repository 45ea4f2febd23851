import { readdirSync, readFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { counter, gauge, histogram, type Metric } from './metric.ts';
import { MetricsRegistry } from './metrics-registry.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { MetricsFormat } from './text-format.ts';

/** Sampling interval of the event loop's delay. */
const EVENT_LOOP_SAMPLE_MS = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

const GC_BUCKETS = [0.001, 0.01, 0.1, 1, 2, 5];
const GC_KINDS = new Map<unknown, string>([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
]);

/** The process, under the names that other Node programs use. */
export const PROCESS = {
  user: counter('process_cpu_user_seconds_total', [], 'Processor time in user mode.'),
  system: counter('process_cpu_system_seconds_total', [], 'Processor time in the kernel.'),
  cpu: counter('process_cpu_seconds_total', [], 'Processor time.'),
  resident: gauge('process_resident_memory_bytes', [], 'Resident memory.'),
  startTime: gauge('process_start_time_seconds', [], 'Start of the process, seconds since 1970.'),
};

/** The process, from `/proc`. */
export const LINUX_PROCESS = {
  size: gauge('process_virtual_memory_bytes', [], 'Virtual memory.'),
  data: gauge('process_heap_bytes', [], 'Private writable memory (VmData).'),
  openFiles: gauge('process_open_fds', [], 'Open file descriptors.'),
};

export const FILE_LIMIT = {
  maxFiles: gauge('process_max_fds', [], 'Limit of open file descriptors.'),
};

/** The delays of the event loop since the last collection. */
export const LOOP_DELAYS = {
  min: loopDelay('min', 'Minimum'),
  max: loopDelay('max', 'Maximum'),
  mean: loopDelay('mean', 'Mean'),
  stddev: loopDelay('stddev', 'Standard deviation'),
  p50: loopDelay('p50', 'Median'),
  p90: loopDelay('p90', '90th percentile'),
  p99: loopDelay('p99', '99th percentile'),
};

function loopDelay(name: string, value: string): Metric<'gauge', never> {
  return gauge(`nodejs_eventloop_lag_${name}_seconds`, [], `${value} of the event loop's delays.`);
}

export const NODE = {
  lag: gauge('nodejs_eventloop_lag_seconds', [], 'Delay of the event loop at this moment.'),
  heapTotal: gauge('nodejs_heap_size_total_bytes', [], 'Memory of the JavaScript heap.'),
  heapUsed: gauge('nodejs_heap_size_used_bytes', [], 'Used memory of the JavaScript heap.'),
  external: gauge('nodejs_external_memory_bytes', [], 'Memory of buffers outside of the heap.'),
  spaceTotal: gauge('nodejs_heap_space_size_total_bytes', ['space'], 'Memory of a space of the heap.'),
  spaceUsed: gauge('nodejs_heap_space_size_used_bytes', ['space'], 'Used memory of a space of the heap.'),
  spaceFree: gauge(
    'nodejs_heap_space_size_available_bytes',
    ['space'],
    'Free memory of a space of the heap.',
  ),
  collections: histogram(
    'nodejs_gc_duration_seconds',
    ['kind'],
    'Time of garbage collections, by kind.',
    GC_BUCKETS,
  ),
  version: gauge('nodejs_version_info', ['version', 'major', 'minor', 'patch'], 'Version of Node: always 1.'),
};

/**
 * The metrics of the process and of Node. Sampling starts with the first instance, so only the
 * monitoring server makes one, at its first request.
 */
export class ProcessMetrics {
  readonly #registry = new MetricsRegistry();
  readonly #node = this.#registry.declare(NODE);

  constructor() {
    this.#observeProcess();
    if (process.platform === 'linux') this.#observeLinux();
    this.#observeEventLoop();
    this.#observeHeap();
    this.#observeCollections();
    const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
    this.#node.version.with({ version: process.version, major, minor, patch }).set(1);
  }

  async render(format: MetricsFormat): Promise<string> {
    await this.#measureLag();
    return this.#registry.render(format);
  }

  /** Returns the metrics at this moment, for another process. */
  async snapshot(): Promise<RegistrySnapshot> {
    await this.#measureLag();
    return this.#registry.snapshot();
  }

  async #measureLag(): Promise<void> {
    const askedAt = performance.now();
    await setImmediate();
    this.#node.lag.set((performance.now() - askedAt) / 1000);
  }

  #observeProcess(): void {
    const { cpu, resident, startTime, system, user } = this.#registry.declare(PROCESS);
    startTime.set(performance.timeOrigin / 1000);
    this.#registry.beforeCollect(() => {
      const used = process.cpuUsage();
      user.value = used.user / MICROSECONDS;
      system.value = used.system / MICROSECONDS;
      cpu.value = (used.user + used.system) / MICROSECONDS;
      resident.set(process.memoryUsage.rss());
    });
  }

  #observeLinux(): void {
    const { data, openFiles, size } = this.#registry.declare(LINUX_PROCESS);
    const [, maxFiles] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (maxFiles !== undefined) this.#registry.declare(FILE_LIMIT).maxFiles.set(Number(maxFiles));
    this.#registry.beforeCollect(() => {
      const status = readFileSync('/proc/self/status', 'utf8');
      const bytes = (key: string): number =>
        Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
      size.set(bytes('VmSize'));
      data.set(bytes('VmData'));
      openFiles.set(readdirSync('/proc/self/fd').length - 1); // one is that of the listing
    });
  }

  #observeEventLoop(): void {
    const delays = monitorEventLoopDelay({ resolution: EVENT_LOOP_SAMPLE_MS });
    delays.enable();
    const metrics = this.#registry.declare(LOOP_DELAYS);
    const readings = [
      [metrics.min, () => delays.min],
      [metrics.max, () => delays.max],
      [metrics.mean, () => delays.mean],
      [metrics.stddev, () => delays.stddev],
      [metrics.p50, () => delays.percentile(50)],
      [metrics.p90, () => delays.percentile(90)],
      [metrics.p99, () => delays.percentile(99)],
    ] as const;
    this.#registry.beforeCollect(() => {
      for (const [metric, read] of readings) metric.set(delays.count === 0 ? 0 : read() / NANOSECONDS);
      delays.reset();
    });
  }

  #observeHeap(): void {
    const { external, heapTotal, heapUsed, spaceFree, spaceTotal, spaceUsed } = this.#node;
    this.#registry.beforeCollect(() => {
      const memory = process.memoryUsage();
      heapTotal.set(memory.heapTotal);
      heapUsed.set(memory.heapUsed);
      external.set(memory.external);
      for (const one of getHeapSpaceStatistics()) {
        const labels = { space: one.space_name.replace(/_space$/, '') };
        spaceTotal.with(labels).set(one.space_size);
        spaceUsed.with(labels).set(one.space_used_size);
        spaceFree.with(labels).set(one.space_available_size);
      }
    });
  }

  #observeCollections(): void {
    const { collections } = this.#node;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        collections.with({ kind: GC_KINDS.get(kindOf(entry)) ?? 'other' }).observe(entry.duration / 1000);
    }).observe({ entryTypes: ['gc'] });
  }
}

/** Reads the kind of a collection, which the type definitions do not declare. */
function kindOf(entry: object): unknown {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  return typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
}
