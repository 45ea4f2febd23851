import type { Logger } from '#platform/log/logger';
import type { BackupJob } from './job.ts';
import type { PipelineListener } from './pipeline.ts';

/** Returns a listener that writes the lines of Gitaly's program. @param command for example `create`. */
export function logListener(logger: Logger, command: string): PipelineListener {
  const loggerOf = ({ storageName, relativePath, glProjectPath }: BackupJob): Logger =>
    logger.child({
      'command.name': command,
      storage_name: storageName,
      relative_path: relativePath,
      gl_project_path: glProjectPath,
    });
  return {
    onStart: (job) => loggerOf(job).info(`started ${command}`),
    onEnd(job, outcome) {
      const of = loggerOf(job);
      if (outcome.kind === 'failed') of.error({ error: outcome.message }, `${command} failed`);
      else if (outcome.kind === 'skipped') of.warn(`skipped ${command}`);
      else of.info(`completed ${command}`);
    },
  };
}
