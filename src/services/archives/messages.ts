import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ArchivedState, UnreadableState } from '#archive/archive';
import type { LoggedGeneration } from '#archive/log';
import type { VerifiedRepository } from '#archive/maintain/verify';
import type { StorageArchiveStatus } from '#archive/publish/storage-archive';
import type { RestoredRepository } from '#archive/restore/restore-storage';
import {
  type ArchivedRepositorySchema,
  ArchiveStatus_State,
  type ArchiveStatusSchema,
  type GenerationSchema,
  RestoreResponse_Result,
  type RestoreResponseSchema,
  type VerifyResponseSchema,
} from '#wire/gen/gitalyts/archives/v1/archives_pb';

const STATES = {
  waiting: ArchiveStatus_State.WAITING,
  live: ArchiveStatus_State.LIVE,
  refused: ArchiveStatus_State.REFUSED,
  ended: ArchiveStatus_State.ENDED,
} as const;

const RESULTS = {
  restored: RestoreResponse_Result.RESTORED,
  exists: RestoreResponse_Result.EXISTS,
  failed: RestoreResponse_Result.FAILED,
} as const;

export function encodeStatus(status: StorageArchiveStatus): MessageInitShape<typeof ArchiveStatusSchema> {
  const { archive, archivedEvent, behindMs, failed, isComplete, lastEvent, problem, state } = status;
  return {
    url: archive,
    state: STATES[state],
    lastEvent: BigInt(lastEvent),
    ...(archivedEvent >= 0 && { archivedEvent: BigInt(archivedEvent) }),
    behind: durationFromMs(behindMs),
    isComplete,
    failed: [...failed],
    problem,
  };
}

export function encodeRepository(
  repository: ArchivedState | UnreadableState,
): MessageInitShape<typeof ArchivedRepositorySchema> {
  if ('problem' in repository) return { relativePath: repository.path, problem: repository.problem };
  const { event, generation, path, references, timeMs } = repository;
  return {
    relativePath: path,
    generation: BigInt(generation),
    time: timestampFromMs(timeMs),
    ...(event >= 0 && { event: BigInt(event) }),
    references: BigInt(references),
  };
}

export function encodeGeneration(logged: LoggedGeneration): MessageInitShape<typeof GenerationSchema> {
  const { generation, id, kind, references, settings, timeMs } = logged;
  return {
    repositoryId: id,
    number: BigInt(generation),
    time: timestampFromMs(timeMs),
    kind,
    changedReferences: BigInt(references),
    changedSettings: [...settings],
  };
}

export function encodeRestored(restored: RestoredRepository): MessageInitShape<typeof RestoreResponseSchema> {
  const { path, reason, result } = restored;
  return { relativePath: path, result: RESULTS[result], problem: reason };
}

export function encodeVerified(verified: VerifiedRepository): MessageInitShape<typeof VerifyResponseSchema> {
  const { bytes, isChecked, isRepaired, packs, path, problems } = verified;
  return {
    relativePath: path,
    packs: BigInt(packs),
    bytes: BigInt(bytes),
    isChecked,
    problems: [...problems],
    isRepaired,
  };
}
