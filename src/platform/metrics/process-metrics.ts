import { collectDefaultMetrics, Registry } from '@prometheus-io/client';
import type { MetricType } from './metrics-registry.ts';
import { familyHead, labelText, sampleLine, type TextFormat } from './text-format.ts';

/** How often the delay of the event loop is sampled. */
const EVENT_LOOP_SAMPLE_MS = 20;

const TYPES: Readonly<Record<string, MetricType>> = { counter: 'counter', histogram: 'histogram' };

/**
 * The metrics of the process and of Node (`process_*`, `nodejs_*`), from the client library. Loading it takes 30 ms, so only the
 * monitoring server does, at the first request.
 */
export class ProcessMetrics {
  readonly #registry = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  }

  async render(format: TextFormat): Promise<string> {
    let text = '';
    for (const { name, help, type, values } of await this.#registry.getMetricsAsJSON()) {
      text += familyHead({ name, help, type: TYPES[type] ?? 'gauge' }, format);
      for (const sample of values) {
        // The parts of a histogram have names of their own; labels are missing where a metric has none.
        const part = 'metricName' in sample && typeof sample.metricName === 'string' ? sample.metricName : name;
        const labels = Object.entries(sample.labels ?? {}).map(([label, value]) => [label, String(value)] as const);
        text += sampleLine(part, labelText(labels), sample.value);
      }
    }
    return text;
  }
}
