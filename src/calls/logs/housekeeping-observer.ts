import type { HousekeepingObserver } from '#domain/housekeeping/observer';
import type { RepositoryState } from '#domain/housekeeping/repository-state';
import type { Logger } from '#platform/log/logger';
import type { HousekeepingMetrics } from '#platform/metrics/housekeeping-metrics';
import type { Repository } from '#storage/repository';
import { runningCall } from '../running-call.ts';

/** Writes the events of maintenance to the log, with Gitaly's texts and fields, and counts them. */
export function observeHousekeeping(metrics: HousekeepingMetrics, logger: Logger): HousekeepingObserver {
  return {
    onMeasured(repository, state) {
      count(metrics, state);
      logger.info({ ...logFieldsOf(repository), repository_info: infoOf(state) }, 'repository info');
    },
    onStaleDataRemoved(repository, counts) {
      const fields: Record<string, number> = {};
      for (const [kind, number] of counts) {
        fields[`stale_data.${kind}`] = number;
        metrics.prunedFiles.with({ filetype: kind }).inc(number);
      }
      logger.info({ ...logFieldsOf(repository), ...fields }, 'removed files');
    },
    onStaleDataLeft(repository, path, reason) {
      logger.warn({ ...logFieldsOf(repository), path, error: reason }, 'unable to remove stale entry');
    },
    onOptimized(repository, { status, tasks, stepMs }) {
      for (const [task, taskStatus] of [...tasks, ['total', status] as const])
        metrics.tasks.with({ housekeeping_task: task, status: taskStatus }).inc();
      const times: Record<string, number> = {};
      for (const [step, ms] of stepMs) {
        metrics.latency.with({ housekeeping_task: step, stage: 'apply' }).observe(ms / 1000);
        times[`${step.replaceAll('-', '_')}_time_ms`] = Math.round(ms);
      }
      const optimizations = Object.fromEntries(tasks);
      logger.info({ ...logFieldsOf(repository), optimizations, ...times }, 'optimized repository');
    },
  };
}

/** Returns the log fields that name a repository, and the call for which maintenance runs. */
export function logFieldsOf(repository: Repository): Record<string, string> {
  const correlationId = runningCall()?.context.correlationId;
  return {
    storage_name: repository.storageName,
    relative_path: repository.relativePath,
    gl_repo: repository.glRepository,
    gl_project_path: repository.glProjectPath,
    ...(correlationId !== undefined && { correlation_id: correlationId }),
  };
}

function infoOf(state: RepositoryState): Record<string, unknown> {
  const { looseObjects, packfiles, references, commitGraph } = state;
  return {
    is_object_pool: state.isPool,
    loose_objects: {
      count: looseObjects.count,
      size: Number(looseObjects.size),
      stale_count: looseObjects.staleCount,
      stale_size: Number(looseObjects.staleSize),
      garbage_count: looseObjects.garbageCount,
    },
    packfiles: {
      count: packfiles.count,
      size: Number(packfiles.size),
      reverse_index_count: packfiles.reverseIndexCount,
      cruft_count: packfiles.cruftCount,
      cruft_size: Number(packfiles.cruftSize),
      keep_count: packfiles.keepCount,
      keep_size: Number(packfiles.keepSize),
      multi_pack_index: { exists: packfiles.multiPackIndex !== undefined, ...packfiles.multiPackIndex },
      bitmap: { exists: packfiles.bitmap !== undefined, ...packfiles.bitmap },
      last_full_repack: new Date(state.lastFullRepackMs ?? 0).toISOString(),
    },
    references: { ...references },
    commit_graph: { exists: commitGraph !== undefined, ...commitGraph },
    alternates: { exists: state.alternatesModifiedMs !== undefined, count: state.alternateCount },
  };
}

function count(metrics: HousekeepingMetrics, state: RepositoryState): void {
  const { commitGraph, packfiles, looseObjects, references } = state;
  const { bitmap, multiPackIndex, multiPackIndexBitmap } = packfiles;
  const structures: Readonly<Record<string, boolean>> = {
    commit_graph: commitGraph !== undefined,
    commit_graph_bloom_filters: commitGraph?.hasBloomFilters === true,
    commit_graph_generation_data: commitGraph?.hasGenerationData === true,
    commit_graph_generation_data_overflow: commitGraph?.hasGenerationDataOverflow === true,
    bitmap: bitmap !== undefined,
    bitmap_hash_cache: bitmap?.hasHashCache === true,
    bitmap_lookup_table: bitmap?.hasLookupTable === true,
    multi_pack_index: multiPackIndex !== undefined,
    multi_pack_index_bitmap: multiPackIndexBitmap !== undefined,
    multi_pack_index_bitmap_hash_cache: multiPackIndexBitmap?.hasHashCache === true,
    multi_pack_index_bitmap_lookup_table: multiPackIndexBitmap?.hasLookupTable === true,
  };
  for (const [name, exists] of Object.entries(structures)) {
    metrics.existence.with({ data_structure: name, exists: String(exists) }).inc();
    metrics.existence.with({ data_structure: name, exists: String(!exists) });
  }
  const counts: Readonly<Record<string, number>> = {
    loose_objects_recent: looseObjects.count - looseObjects.staleCount,
    loose_objects_stale: looseObjects.staleCount,
    commit_graph_chain: commitGraph?.chainLength ?? 0,
    packfiles: packfiles.count,
    packfiles_cruft: packfiles.cruftCount,
    packfiles_keep: packfiles.keepCount,
    packfiles_reverse_indices: packfiles.reverseIndexCount,
    multi_pack_index_packfile_count: multiPackIndex?.packfileCount ?? 0,
    loose_references: references.backend === 'files' ? references.looseCount : 0,
  };
  for (const [name, number] of Object.entries(counts))
    metrics.structureCount.with({ data_structure: name }).observe(number);
  const sizes: Readonly<Record<string, bigint | number>> = {
    loose_objects_recent: looseObjects.size - looseObjects.staleSize,
    loose_objects_stale: looseObjects.staleSize,
    packfiles: packfiles.size,
    packfiles_cruft: packfiles.cruftSize,
    packfiles_keep: packfiles.keepSize,
    packed_references: references.backend === 'files' ? references.packedSizeBytes : 0,
  };
  for (const [name, bytes] of Object.entries(sizes))
    metrics.structureSize.with({ data_structure: name }).observe(Number(bytes));
  const sinceFullRepackMs = Date.now() - (state.lastFullRepackMs ?? 0);
  const fullRepack = metrics.sinceOptimization.with({ data_structure: 'packfiles_full_repack' });
  fullRepack.observe(sinceFullRepackMs / 1000);
}
