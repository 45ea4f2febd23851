import { FallBackToGit } from '#git/command/in-process';
import type { GitRepository } from '#git/repository';
import { readSettings } from '#git/repository-files/config-file';
import type { FileChange } from '../parse/raw-line.ts';

const FIRST_UNUSUAL = 0x7f;

/** @throws {FallBackToGit} when a setting may change how paths are quoted. */
export function requirePlainQuotes(repository: GitRepository, changes: readonly FileChange[]): void {
  const isUnusual = (byte: number): boolean => byte >= FIRST_UNUSUAL;
  if (!changes.some(({ fromPath, toPath }) => fromPath.some(isUnusual) || toPath.some(isUnusual))) return;
  const settings = [
    ...repository.git.settings('diff', { repository }),
    ...(readSettings(repository) ?? [{ key: QUOTE_PATH }]),
  ];
  if (settings.some(({ key }) => key.toLowerCase() === QUOTE_PATH))
    throw new FallBackToGit('a setting changes how paths are quoted');
}

const QUOTE_PATH = 'core.quotepath';
