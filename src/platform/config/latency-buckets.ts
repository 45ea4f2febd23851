import { floats } from './keys.ts';

/** The key `grpc_latency_buckets`, in the configurations of gitaly and praefect. */
export const LATENCY_BUCKETS = floats({
  doc:
    'Bounds of the latency histograms in seconds, in ascending order. An empty list disables ' +
    'the histograms.',
  default: [0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500],
  example: '[0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 10.0, 30.0, 60.0, 300.0, 1500.0]',
  accepted: 'a list of numbers in ascending order',
});
