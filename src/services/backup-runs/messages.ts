import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { type BackupRun, lastRuns, mergeRuns } from '#domain/backup/backup-runs';
import type { BackupRunSchema, BackupRun as RunMessage } from '#wire/gen/gitalyts/backups/v1/backups_pb';

export function encodeRun(run: BackupRun): MessageInitShape<typeof BackupRunSchema> {
  const { failed, failure, id, isEnded, program, repositories, timeMs } = run;
  return {
    id,
    program,
    time: timestampFromMs(timeMs),
    repositories: BigInt(repositories),
    failed: BigInt(failed),
    failedRepository: failure?.repository ?? '',
    problem: failure?.problem ?? '',
    isEnded,
  };
}

export function decodeRun(message: RunMessage): BackupRun {
  const { failed, failedRepository, id, isEnded, problem, program, repositories, time } = message;
  const timeMs = time === undefined ? 0 : timestampMs(time);
  const hasFailure = failedRepository !== '' || problem !== '';
  return {
    id,
    program,
    timeMs,
    repositories: Number(repositories),
    failed: Number(failed),
    ...(hasFailure && { failure: { repository: failedRepository, problem, timeMs } }),
    isEnded,
  };
}

/** Merges the last backups that several nodes know. */
export function mergeLast(messages: readonly RunMessage[]): MessageInitShape<typeof BackupRunSchema>[] {
  return lastRuns(mergeRuns(messages.map(decodeRun))).map(encodeRun);
}
