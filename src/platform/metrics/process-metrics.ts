import { readdirSync, readFileSync } from 'node:fs';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { type Gauge, MetricsRegistry } from './metrics-registry.ts';
import type { RegistrySnapshot } from './registry-snapshot.ts';
import type { TextFormat } from './text-format.ts';

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

/**
 * The metrics of the process and of Node, `process_*` and `nodejs_*`, under the names that other
 * Node programs use. Sampling starts with the first instance, so only the monitoring server makes
 * one, at its first request.
 */
export class ProcessMetrics {
  readonly #registry = new MetricsRegistry();
  readonly #lag = this.#gauge('nodejs_eventloop_lag_seconds', 'Delay of the event loop at this moment.');

  constructor() {
    this.#observeProcess();
    this.#observeEventLoop();
    this.#observeHeap();
    this.#observeCollections();
    const [major = '', minor = '', patch = ''] = process.versions.node.split('.');
    this.#registry
      .gauge({
        name: 'nodejs_version_info',
        help: 'Version of Node: always 1.',
        labels: ['version', 'major', 'minor', 'patch'],
      })
      .with({ version: process.version, major, minor, patch })
      .set(1);
  }

  async render(format: TextFormat): Promise<string> {
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
    this.#lag.set((performance.now() - askedAt) / 1000);
  }

  #gauge(name: string, help: string): Gauge {
    return this.#registry.gauge({ name, help }).with({});
  }

  #observeProcess(): void {
    const cpu = (kind: string, help: string) =>
      this.#registry.counter({ name: `process_cpu_${kind}seconds_total`, help }).with({});
    const user = cpu('user_', 'Processor time in user mode.');
    const system = cpu('system_', 'Processor time in the kernel.');
    const both = cpu('', 'Processor time.');
    const resident = this.#gauge('process_resident_memory_bytes', 'Resident memory.');
    this.#gauge('process_start_time_seconds', 'Start of the process, seconds since 1970.').set(
      performance.timeOrigin / 1000,
    );
    this.#registry.beforeCollect(() => {
      const used = process.cpuUsage();
      user.value = used.user / MICROSECONDS;
      system.value = used.system / MICROSECONDS;
      both.value = (used.user + used.system) / MICROSECONDS;
      resident.set(process.memoryUsage.rss());
    });
    if (process.platform !== 'linux') return; // the rest comes from /proc

    const size = this.#gauge('process_virtual_memory_bytes', 'Virtual memory.');
    const data = this.#gauge('process_heap_bytes', 'Private writable memory (VmData).');
    const openFiles = this.#gauge('process_open_fds', 'Open file descriptors.');
    const [, maxFiles] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    if (maxFiles !== undefined)
      this.#gauge('process_max_fds', 'Limit of open file descriptors.').set(Number(maxFiles));
    this.#registry.beforeCollect(() => {
      const status = readFileSync('/proc/self/status', 'utf8');
      const bytes = (key: string): number =>
        Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
      size.set(bytes('VmSize'));
      data.set(bytes('VmData'));
      openFiles.set(readdirSync('/proc/self/fd').length - 1); // one is that of the listing
    });
  }

  /** The delays since the last collection. */
  #observeEventLoop(): void {
    const delays = monitorEventLoopDelay({ resolution: EVENT_LOOP_SAMPLE_MS });
    delays.enable();
    const gauge = (name: string, help: string): Gauge =>
      this.#gauge(`nodejs_eventloop_lag_${name}_seconds`, `${help} of the event loop's delays.`);
    const readings = [
      [gauge('min', 'Minimum'), () => delays.min],
      [gauge('max', 'Maximum'), () => delays.max],
      [gauge('mean', 'Mean'), () => delays.mean],
      [gauge('stddev', 'Standard deviation'), () => delays.stddev],
      [gauge('p50', 'Median'), () => delays.percentile(50)],
      [gauge('p90', '90th percentile'), () => delays.percentile(90)],
      [gauge('p99', '99th percentile'), () => delays.percentile(99)],
    ] as const;
    this.#registry.beforeCollect(() => {
      for (const [metric, read] of readings) metric.set(delays.count === 0 ? 0 : read() / NANOSECONDS);
      delays.reset();
    });
  }

  #observeHeap(): void {
    const total = this.#gauge('nodejs_heap_size_total_bytes', 'Memory of the JavaScript heap.');
    const used = this.#gauge('nodejs_heap_size_used_bytes', 'Used memory of the JavaScript heap.');
    const external = this.#gauge('nodejs_external_memory_bytes', 'Memory of buffers outside of the heap.');
    const space = (name: string, help: string) =>
      this.#registry.gauge({ name: `nodejs_heap_space_size_${name}_bytes`, help, labels: ['space'] });
    const spaces = {
      total: space('total', 'Memory of a space of the heap.'),
      used: space('used', 'Used memory of a space of the heap.'),
      available: space('available', 'Free memory of a space of the heap.'),
    };
    this.#registry.beforeCollect(() => {
      const memory = process.memoryUsage();
      total.set(memory.heapTotal);
      used.set(memory.heapUsed);
      external.set(memory.external);
      for (const one of getHeapSpaceStatistics()) {
        const labels = { space: one.space_name.replace(/_space$/, '') };
        spaces.total.with(labels).set(one.space_size);
        spaces.used.with(labels).set(one.space_used_size);
        spaces.available.with(labels).set(one.space_available_size);
      }
    });
  }

  #observeCollections(): void {
    const durations = this.#registry.histogram({
      name: 'nodejs_gc_duration_seconds',
      help: 'Time of garbage collections, by kind.',
      labels: ['kind'],
      buckets: GC_BUCKETS,
    });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries())
        durations.with({ kind: GC_KINDS.get(kindOf(entry)) ?? 'other' }).observe(entry.duration / 1000);
    }).observe({ entryTypes: ['gc'] });
  }
}

/** Reads the kind of a collection, which the type definitions do not declare. */
function kindOf(entry: object): unknown {
  const detail: unknown = 'detail' in entry ? entry.detail : undefined;
  return typeof detail === 'object' && detail !== null && 'kind' in detail ? detail.kind : undefined;
}
