import type { SubcommandName } from '../command/allowed.ts';
import type { GitRepository } from '../repository.ts';
import { readSettings } from '../repository-files/config-file.ts';
import type { RepositoryFormat } from '../repository-files/repository-format.ts';

/**
 * Results by the object of the repository's format, which is the same until the `config` file
 * changes, and by command.
 */
const plainFormats = new WeakMap<RepositoryFormat, Map<SubcommandName, boolean>>();

/**
 * Reports whether no setting, of the server or the repository, changes how a command compares and
 * merges files.
 */
export function hasPlainSettings(repository: GitRepository, command: SubcommandName): boolean {
  const { git, format } = repository;
  const ofFormat = plainFormats.get(format) ?? new Map<SubcommandName, boolean>();
  const known = ofFormat.get(command);
  if (known !== undefined) return known;
  const settings = [...git.settings(command, { repository }), ...(readSettings(repository) ?? [UNKNOWN])];
  const isPlain = settings.every(({ key }) => isIrrelevantToDiff(key));
  plainFormats.set(format, ofFormat.set(command, isPlain));
  return isPlain;
}

/** Replaces the settings of a file that only git can parse. */
const UNKNOWN = { key: 'diff.unknown' };

/**
 * Sections of ordinary repositories and of the server, without `diff`, `color`, `submodule` and
 * `include`.
 */
const OTHER_SECTIONS: ReadonlySet<string> = new Set([
  'advice',
  'attr',
  'branch',
  'commit',
  'core',
  'extensions',
  'fetch',
  'gc',
  'gitlab',
  'http',
  'maintenance',
  'midx',
  'pack',
  'protocol',
  'receive',
  'reftable',
  'remote',
  'repack',
  'tag',
  'transfer',
  'uploadpack',
]);

/** Reports whether a setting (`section.name`) never changes the output of a comparison. */
export function isIrrelevantToDiff(key: string): boolean {
  return OTHER_SECTIONS.has(key.slice(0, key.indexOf('.')).toLowerCase());
}
