import { realpathSync } from 'node:fs';
import { messageOf, wrap } from '#base/gitaly-error';
import { joinObjectDirectories } from '#git/command/object-directory-list';
import { isQuarantined } from '#git/repository-files/git-directory';
import type { AccessDecision, InternalApi } from '../gitlab-api/internal-api.ts';
import type { HookCall } from './hook-call.ts';
import { type RelativeObjectDirectories, relativeObjectDirectories } from './hook-environment.ts';
import { NotAllowedError } from './not-allowed-error.ts';
import type { PushUser } from './payload.ts';

/** @throws {NotAllowedError} when GitLab refuses, or cannot be reached. */
export async function checkAccess(
  api: InternalApi,
  call: HookCall,
  push: { user: PushUser; changes: Buffer; quarantine: RelativeObjectDirectories | undefined },
): Promise<void> {
  const { repository, payload, pushOptions } = call;
  const { user, changes, quarantine } = push;
  const check = {
    glRepository: repository.glRepository,
    repositoryPath: repository.path,
    relativePath: repository.relativePath,
    objectDirectory: quarantine?.objectDirectory ?? '',
    alternateObjectDirectories: quarantine?.alternateObjectDirectories,
    glId: user.userId,
    protocol: user.protocol,
    changes: changes.toString(),
    pushOptions,
    clientContext: payload.clientContext,
  };
  let decision: AccessDecision;
  try {
    decision = await api.allowed(check, call);
  } catch (error) {
    throw new NotAllowedError(messageOf(error), user, changes, { cause: error });
  }
  if (!decision.allowed) throw new NotAllowedError(decision.message, user, changes);
}

/**
 * Returns the directory of a push's objects before the push is accepted, relative to the
 * repository; `undefined` when the objects are in the repository.
 */
export function quarantineOf({ repository, environment }: HookCall): RelativeObjectDirectories | undefined {
  try {
    if (environment.GIT_OBJECT_DIRECTORY !== undefined) {
      const told = relativeObjectDirectories(realpathSync(repository.path), environment);
      if (told !== undefined) return told;
    }
  } catch (error) {
    throw wrap(error, 'getting relative git object directories');
  }
  if (!isQuarantined(repository)) return undefined;
  return relativeObjectDirectories(repository.path, {
    GIT_OBJECT_DIRECTORY: repository.objectDirectory,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: joinObjectDirectories(repository.alternateObjectDirectories),
  });
}
