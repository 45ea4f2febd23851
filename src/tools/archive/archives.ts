import { durationMs, timestampDate, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { codeOf, GitalyError } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import {
  type ArchiveStatus,
  ArchiveStatus_State,
  type Generation,
  RestoreResponse_Result,
} from '#wire/gen/gitalyts/archives/v1/archives_pb';
import { withSuffix } from '../repo/repositories.ts';

/** An archive of a storage. Its index is the place in the list of the storage's archives, from 0. */
export interface ArchivePlace {
  readonly storage: string;
  readonly archive: number;
}

/** How far an archive is, as `gitaly-ts archive status --json` shows it. */
export interface ShownStatus {
  readonly url: string;
  readonly state: 'waiting' | 'live' | 'refused' | 'ended';
  readonly lastEvent: number;
  /** All events up to this one are archived; absent while that is not known. */
  readonly archivedEvent?: number;
  /** Age of the oldest change that is not archived. */
  readonly behindSeconds: number;
  /** False while all repositories are compared. */
  readonly isComplete: boolean;
  /** Repositories that could not be archived, and are tried again. */
  readonly failed: readonly string[];
  readonly problem: string;
}

/** The last state of a repository in an archive; nothing if it cannot be read. */
export interface ShownRepository {
  readonly name: string;
  /** Why it cannot be read; absent otherwise. */
  readonly problem?: string;
  readonly generation: number;
  /** As ISO 8601. */
  readonly time: string;
  /** The last event that it includes; absent if that is not known. */
  readonly event?: number;
  readonly references: number;
}

/** A state that can be restored. */
export interface ShownGeneration {
  readonly generation: number;
  /** As ISO 8601. */
  readonly time: string;
  readonly kind: string;
  readonly changedReferences: number;
  readonly changedSettings: readonly string[];
  /** Id of the repository: a name may have had several, one after another. */
  readonly repositoryId: string;
}

/** A moment: the number of a generation, or a time in milliseconds since 1970. */
export type Moment =
  | {
      readonly generation: number;
      /** Beginning of the id of the repository, if the name has had several. */
      readonly id?: string;
    }
  | { readonly timeMs: number };

export interface ArchivedMoment {
  /** The last state by default. */
  readonly at?: Moment | undefined;
  /** Name of the restored repository. Default: the same. */
  readonly to?: string | undefined;
  readonly replace?: boolean | undefined;
}

/** A repository that was not restored, or not completely, and why. */
export interface FailedRestore {
  readonly name: string;
  readonly problem: string;
}

/** Results of the restore of a storage. */
export interface RestoredStorage {
  readonly restored: string[];
  /** Those that were restored without some files of Git LFS. */
  readonly incomplete: FailedRestore[];
  /** They existed, and stay as they are. */
  readonly existing: string[];
  readonly failed: FailedRestore[];
}

/** A repository whose archive is damaged, or was. */
export interface DamagedRepository {
  readonly name: string;
  readonly problems: readonly string[];
  readonly isRepaired: boolean;
}

const STATES = {
  [ArchiveStatus_State.UNSPECIFIED]: 'waiting',
  [ArchiveStatus_State.WAITING]: 'waiting',
  [ArchiveStatus_State.LIVE]: 'live',
  [ArchiveStatus_State.REFUSED]: 'refused',
  [ArchiveStatus_State.ENDED]: 'ended',
} as const;

const RESULTS = {
  [RestoreResponse_Result.UNSPECIFIED]: 'failed',
  [RestoreResponse_Result.RESTORED]: 'restored',
  [RestoreResponse_Result.EXISTS]: 'exists',
  [RestoreResponse_Result.FAILED]: 'failed',
} as const;

export function nothingRestored(): RestoredStorage {
  return { restored: [], incomplete: [], existing: [], failed: [] };
}

/** Adds the result of a repository. */
export function addRestored(
  state: RestoredStorage,
  result: 'restored' | 'exists' | 'failed',
  { name, problem }: FailedRestore,
): void {
  if (result === 'exists') state.existing.push(name);
  else if (result === 'failed') state.failed.push({ name, problem });
  else {
    state.restored.push(name);
    if (problem !== '') state.incomplete.push({ name, problem });
  }
}

/** The archives of one storage, by the calls of a server. */
export class Archives {
  readonly #calls: Connection['archives'];
  readonly #place: { readonly storageName: string; readonly archive: number };

  constructor(connection: Pick<Connection, 'archives'>, { archive, storage }: ArchivePlace) {
    this.#calls = connection.archives;
    this.#place = { storageName: storage, archive };
  }

  /** Returns how far all archives of the storage are. @throws {GitalyError} NOT_FOUND without any. */
  async status(): Promise<ShownStatus[]> {
    const { storageName } = this.#place;
    const { archives } = await this.#calls.getStatus({ storageName });
    if (archives.length === 0)
      throw new GitalyError(
        'NOT_FOUND',
        `the storage ${storageName} has no archive: start its server with one (docs/archive.md)`,
      );
    return archives.map(shownStatus);
  }

  /** Yields the repositories of the archive with their last states. */
  async *repositories(): AsyncGenerator<ShownRepository> {
    for await (const { repositories } of this.#calls.listRepositories(this.#place))
      for (const { event, generation, problem, references, relativePath, time } of repositories)
        yield {
          name: relativePath,
          ...(problem !== '' && { problem }),
          generation: Number(generation),
          time: shownTime(time),
          ...(event !== undefined && { event: Number(event) }),
          references: Number(references),
        };
  }

  /** Yields the states of a repository that can be restored, the newest first. */
  async *generations(name: string, limit = 0): AsyncGenerator<ShownGeneration> {
    const request = { ...this.#place, relativePath: withSuffix(name), limit };
    for await (const { generations } of this.#calls.listGenerations(request))
      yield* generations.map(shownGeneration);
  }

  /** Restores a repository. @returns its name, and what it lacks: files of Git LFS, or empty. */
  async restore(name: string, { at, replace = false, to }: ArchivedMoment = {}): Promise<FailedRestore> {
    const relativePath = withSuffix(name);
    const toRelativePath = to === undefined ? '' : withSuffix(to);
    const request = { ...this.#place, relativePath, toRelativePath, replace, ...momentOf(at) };
    try {
      const [restored] = await Array.fromAsync(this.#calls.restore(request));
      return { name: restored?.relativePath ?? relativePath, problem: restored?.problem ?? '' };
    } catch (error) {
      if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
      const hint = '--replace replaces it, --to NAME restores it beside';
      const existing = toRelativePath || relativePath;
      throw new GitalyError('ALREADY_EXISTS', `${existing} exists: ${hint}`, { cause: error });
    }
  }

  /** Reads the archive back. Yields each repository that has a problem. @param onRead is called for each. */
  async *verify(
    full: boolean,
    onRead: (repository: { readonly bytes: number }) => void,
  ): AsyncGenerator<DamagedRepository> {
    for await (const verified of this.#calls.verify({ ...this.#place, full })) {
      const { bytes, isRepaired, problems, relativePath: name } = verified;
      onRead({ bytes: Number(bytes) });
      if (problems.length > 0) yield { name, problems, isRepaired };
    }
  }

  /** Deletes what the archives of the storage do not keep any more. */
  async prune(): Promise<void> {
    await this.#calls.prune({ storageName: this.#place.storageName });
  }

  /** Restores all repositories that the storage lacks. @param onResult is called with what is done. */
  async restoreAll(
    timeMs: number | undefined,
    onResult: (state: Readonly<RestoredStorage>) => void = () => {},
  ): Promise<RestoredStorage> {
    const state = nothingRestored();
    const request = { ...this.#place, ...momentOf(timeMs === undefined ? undefined : { timeMs }) };
    for await (const { problem, relativePath: name, result } of this.#calls.restore(request)) {
      addRestored(state, RESULTS[result], { name, problem });
      onResult(state);
    }
    return state;
  }
}

function momentOf(at: Moment | undefined) {
  if (at === undefined) return {};
  return 'generation' in at
    ? { at: { case: 'generation' as const, value: BigInt(at.generation) }, repositoryId: at.id ?? '' }
    : { at: { case: 'time' as const, value: timestampFromMs(at.timeMs) } };
}

function shownStatus(status: ArchiveStatus): ShownStatus {
  const { archivedEvent, behind, failed, isComplete, lastEvent, problem, state, url } = status;
  return {
    url,
    state: STATES[state],
    lastEvent: Number(lastEvent),
    ...(archivedEvent !== undefined && { archivedEvent: Number(archivedEvent) }),
    behindSeconds: behind === undefined ? 0 : durationMs(behind) / 1000,
    isComplete,
    failed,
    problem,
  };
}

function shownGeneration(generation: Generation): ShownGeneration {
  const { changedReferences, changedSettings, kind, number, repositoryId, time } = generation;
  return {
    generation: Number(number),
    time: shownTime(time),
    kind,
    changedReferences: Number(changedReferences),
    changedSettings,
    repositoryId,
  };
}

function shownTime(time: Generation['time']): string {
  return time === undefined ? '' : timestampDate(time).toISOString();
}
