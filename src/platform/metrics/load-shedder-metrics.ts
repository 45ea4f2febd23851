import { counter, gauge } from './metric.ts';
import type { Observers } from './metrics-registry.ts';

/** Calls that are ended under critical load, with Gitaly's names. */
export const LOAD_SHEDDER = {
  tracked: gauge(
    'gitaly_burdenmonitor_active_rpcs',
    [],
    'Number of RPCs currently tracked by the burden monitor',
  ),
  shed: counter(
    'gitaly_loadshedder_rpcs_shed_total',
    ['grpc_service', 'grpc_method', 'reason'],
    'Total number of RPCs cancelled by the load shedder',
  ),
};

export type LoadShedderMetrics = Observers<typeof LOAD_SHEDDER>;
