import { attributeFilesFor } from '#git/attributes/attribute-files';
import { TreeAttributes } from '#git/attributes/tree-attributes';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import { readSettings } from '#git/repository-files/config-file';
import type { FileChange } from '../parse/raw-line.ts';

/** Limit of comparing paths with patterns. */
const MAX_STEPS = 100_000;
const FIRST_UNUSUAL = 0x7f;

/**
 * Checks that git compares files with its default rules.
 *
 * @param attributes Tree whose `.gitattributes` apply; older versions of git get only the file at
 *   its top.
 * @throws {FallBackToGit} when the attribute `diff` may change how; the signal's reason when it is
 *   aborted.
 */
export async function requirePlainFiles(
  repository: GitRepository,
  changes: readonly FileChange[],
  attributes: string,
  options: ReadOptions,
): Promise<void> {
  const paths = changes.flatMap(({ fromPath, toPath }) =>
    fromPath === toPath ? [toPath] : [fromPath, toPath],
  );
  const places = repository.git.capabilities.attrTree ? paths : [];
  const files = await attributeFilesFor(repository, attributes, places, options);
  if (files.length === 0) return;
  const tree = await TreeAttributes.read(repository, repository.objects, files, options);
  const found = await tree.of(paths, { ...options, maxSteps: MAX_STEPS }).catch(fallBackOnFailure);
  if (found.some((names) => names.has('diff')))
    throw new FallBackToGit('an attribute changes how a file is compared');
}

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
