import type { SubcommandName } from '../command/allowed.ts';
import { readSettings } from '../config-file.ts';
import type { GitRepository } from '../repository.ts';
import type { RepositoryFormat } from '../repository-format.ts';
import { isIrrelevantToDiff } from './irrelevant-settings.ts';

/**
 * Results by the object of the repository's format, which is the same until the `config` file
 * changes.
 */
const plainFormats = new WeakMap<RepositoryFormat, boolean>();

/**
 * Reports whether no setting, of the server or the repository, changes how a command compares and
 * merges files.
 */
export function hasPlainSettings(repository: GitRepository, command: SubcommandName): boolean {
  const { git, format } = repository;
  if (!git.settings(command, { repository }).every(({ key }) => isIrrelevantToDiff(key))) return false;
  const known = plainFormats.get(format);
  if (known !== undefined) return known;
  const isPlain = readSettings(repository)?.every(({ key }) => isIrrelevantToDiff(key)) ?? false;
  plainFormats.set(format, isPlain);
  return isPlain;
}
