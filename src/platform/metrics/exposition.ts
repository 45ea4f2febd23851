import { collectDefaultMetrics, type Metric, Registry, type RegistryContentType } from '@prometheus-io/client';
import type { Collectable, MetricsRegistry, Sample } from './metrics-registry.ts';

/**
 * Turns a registry into the text that Prometheus reads, through the client library: it knows the formats, and brings the metrics
 * of the process and of Node (`process_*`, `nodejs_*`). Loading it takes 30 ms, so nothing but the monitoring server imports it.
 */
export class Exposition {
  readonly #registry: MetricsRegistry;
  readonly #process = new Registry();

  constructor(registry: MetricsRegistry) {
    this.#registry = registry;
    collectDefaultMetrics({ register: this.#process, eventLoopMonitoringPrecision: 20 });
  }

  /** @param accept the client's `Accept` header: OpenMetrics when it asks for it, the plain text format otherwise. */
  async render(accept: string): Promise<{ contentType: string; body: string }> {
    const openMetrics = accept.includes('application/openmetrics-text');
    const type: RegistryContentType = openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
    const output = new Registry(type);
    for (const family of this.#registry.collect()) register(output, family, openMetrics);
    for (const metric of await this.#process.getMetricsAsJSON()) {
      register(output, { ...metric, type: TYPES[metric.type] ?? 'gauge', samples: () => librarySamples(metric) }, openMetrics);
    }
    return { contentType: output.contentType, body: await output.metrics() };
  }
}

type LibraryFamily = Awaited<ReturnType<Registry['getMetricsAsJSON']>>[number];

const TYPES: Readonly<Record<string, Collectable['type']>> = { counter: 'counter', gauge: 'gauge', histogram: 'histogram' };

/** The library leaves labels out where a metric has none, and says another name for the parts of a histogram. */
function* librarySamples(metric: LibraryFamily): Generator<Sample> {
  for (const value of metric.values) {
    const name = 'metricName' in value && typeof value.metricName === 'string' ? value.metricName : metric.name;
    const labels = Object.entries(value.labels ?? {}).map(([label, text]) => [label, String(text)]);
    yield { name, labels: Object.fromEntries(labels), value: value.value };
  }
}

function register(output: Registry, family: Collectable, openMetrics: boolean): void {
  const values = Array.from(family.samples(), ({ name, labels, value }) => ({
    labels,
    value,
    // The library adds the ending of counters itself in the OpenMetrics format.
    ...((!openMetrics || family.type !== 'counter') && { metricName: name }),
  }));
  if (values.length === 0) return;
  const name = openMetrics && family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
  const { help, type } = family;
  const metric = { name, help, type, get: async () => ({ name, help, type, values }) };
  // A registry asks its metrics for a name and for get(); the library's type also lists the methods for counting.
  output.registerMetric(metric as unknown as Metric<string>);
}
