import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { insteadOf, messageOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import type { Git } from '#git/command/git';
import {
  RepositoryInfoResponse_ReferencesInfo_ReferenceBackend as Backend,
  OptimizeRepositoryRequest_Strategy as Strategy,
} from '#wire/gen/repository_pb';
import { cloneSource } from './clone-source.ts';
import { type ImportDestination, needsHead, prepareDestination, setHead } from './destination.ts';
import { pushReferences } from './push-references.ts';
import { gitDirectoryOf, type ImportSource, isLocalDirectory } from './source.ts';
import { readSourceRepository, type SourceRepository } from './source-repository.ts';
import { isUrl } from './url.ts';

export interface ImportSettings {
  readonly git: Git;
  readonly connection: Connection;
  readonly storageName: string;
  /** `false` accepts objects that fail git's checks. */
  readonly checkObjects: boolean;
  /** Directory for repositories that must be fetched first. */
  readonly temporaryDirectory: string;
}

/** Called with the number of fetched bytes, then with the number of sent bytes. */
export type OnBytes = (bytes: number) => void;

export interface Imported {
  readonly outcome: 'imported' | 'skipped';
  /** Number of bytes sent to the server. */
  readonly bytes: number;
  readonly references: number;
  /** Additional information for the user. */
  readonly note?: string;
}

/**
 * Number of references above which they are packed after a push. Servers pack at once when there
 * are more than 16 loose and no packed ones (Gitaly: `housekeeping.shouldRepackReferences`).
 */
const MANY_REFERENCES = 100;
/** A server does nothing while it maintains the repository for another reason. */
const MAX_ATTEMPTS = 60;
const PAUSE_MS = 1000;

/**
 * Imports one repository into the storage: creates an empty one, then sends all references in one
 * transaction. Other clients see it either empty or complete. If it cannot be completed, it is
 * removed again; an existing one with the same references is unchanged.
 *
 * @throws {Error} with a message for the user.
 */
export async function importRepository(
  source: ImportSource,
  settings: ImportSettings,
  { signal, onProgress }: { signal: AbortSignal; onProgress: OnBytes },
): Promise<Imported> {
  const { location } = source;
  if (!isUrl(location) && isLocalDirectory(location)) {
    const gitDirectory = gitDirectoryOf(location);
    if (gitDirectory === undefined)
      throw new Error('is not a git repository: name one, or use --recursive to search the directory');
    return await send(gitDirectory, source, settings, { signal, onProgress });
  }
  await using clone = await cloneSource(settings.git, isUrl(location) ? location : resolve(location), {
    temporaryDirectory: settings.temporaryDirectory,
    onBytes: (bytes) => bytes > 0 && onProgress(bytes),
    signal,
  });
  return await send(clone.gitDirectory, source, settings, { signal, onProgress });
}

async function send(
  gitDirectory: string,
  { relativePath }: ImportSource,
  settings: ImportSettings,
  { signal, onProgress }: { signal: AbortSignal; onProgress: OnBytes },
): Promise<Imported> {
  const { git, connection, storageName, checkObjects } = settings;
  const destination: ImportDestination = {
    repository: { storageName, relativePath, glRepository: relativePath },
  };
  const source = await readSourceRepository(git, gitDirectory, signal);
  const references = source.references.length;
  const found = await prepareDestination(connection, destination, source, signal);
  if (found === 'same' && references > 0)
    return { outcome: 'skipped', bytes: 0, references, note: 'exists already' };
  if (found === 'different') {
    throw new Error(
      'a repository of that name exists with other references: remove it, or choose another name with --name',
    );
  }
  let bytes = 0;
  const onBytes = (count: number): void => {
    bytes += count;
    onProgress(bytes);
  };
  try {
    if (needsHead(found, source)) await setHead(connection, destination, source, signal);
    if (references > 0) {
      const isPacked = await shouldPack(connection, destination, { references, signal });
      await pushReferences({
        git,
        source: source.repository,
        connection,
        destination,
        checkObjects,
        flushReferences: !isPacked,
        onBytes,
        signal,
      });
      if (isPacked) await packReferences(connection, destination, signal);
    }
  } catch (error) {
    if (found === 'created') await removeAgain(connection, destination, error);
    throw error;
  }
  return { outcome: found === 'same' ? 'skipped' : 'imported', bytes, references, ...noteOn(source) };
}

/** Removes the repository, without the signal, because an interrupted import is reverted too. */
async function removeAgain(
  connection: Connection,
  { repository }: ImportDestination,
  reason: unknown,
): Promise<void> {
  await connection.repository
    .removeRepository({ repository }, { timeoutMs: REMOVE_LIMIT_MS })
    .catch((error: unknown) => {
      throw new Error(
        `${messageOf(reason)} (and the empty ${repository.relativePath} could not be removed: ` +
          `${messageOf(error)})`,
        {
          cause: reason,
        },
      );
    });
}

const REMOVE_LIMIT_MS = 10_000;

function noteOn({ head, leftOut, references }: SourceRepository): { note?: string } {
  const notes = [
    ...(leftOut.length === 0 ? [] : [`without ${leftOut.join(', ')}, which git does not push`]),
    ...(references.length === 0 ? ['is empty'] : []),
    ...(references.length > 0 && head === undefined
      ? ['its HEAD is detached; the import sets it to the default branch']
      : []),
  ];
  return notes.length === 0 ? {} : { note: notes.join(', ') };
}

/**
 * Reports whether a push makes files that should be packed: each takes a block of the
 * disk, and a flush.
 */
async function shouldPack(
  connection: Connection,
  { repository }: ImportDestination,
  { references, signal }: { references: number; signal: AbortSignal },
): Promise<boolean> {
  if (references < MANY_REFERENCES) return false;
  return (await infoOf(connection, repository, signal))?.referenceBackend === Backend.FILES;
}

/**
 * Packs references, which flushes them together.
 *
 * @throws {Error} if some are not packed afterwards: they may not be flushed.
 */
async function packReferences(
  connection: Connection,
  { repository }: ImportDestination,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await connection.repository.optimizeRepository(
      { repository, strategy: Strategy.HEURISTICAL },
      { signal },
    );
    const { looseCount = 0n } = (await infoOf(connection, repository, signal)) ?? {};
    if (looseCount === 0n) return;
    if (attempt === MAX_ATTEMPTS) throw new Error(`the server has not packed ${looseCount} references`);
    await delay(PAUSE_MS, undefined, { signal });
  }
}

/** Returns the numbers of references; `undefined` from a server before 16.7. */
async function infoOf(
  connection: Connection,
  repository: ImportDestination['repository'],
  signal: AbortSignal,
) {
  const info = connection.repository.repositoryInfo({ repository }, { signal });
  return (await info.catch(insteadOf('UNIMPLEMENTED', undefined)))?.references;
}
