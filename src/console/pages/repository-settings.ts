import { createHash } from 'node:crypto';
import { codeOf } from '#base/gitaly-error';
import { readHead } from '#client/content/read-head';
import type { PlainVisit } from './repository-visit.ts';

export interface RepositorySettings {
  readonly description: string;
  /** Also one that does not exist yet; `undefined` if HEAD is detached. */
  readonly defaultBranch: string | undefined;
  /** The document as it was set. */
  readonly rules: string | undefined;
  /** Why the rules cannot be used. */
  readonly rulesProblem: string | undefined;
  /** False on a server that knows only the default branch. */
  readonly isComplete: boolean;
}

const HEADS = /^refs\/heads\//;

/** @throws {GitalyError} NOT_FOUND for a missing repository. */
export async function readRepositorySettings({
  calls,
  connection,
  repository,
}: PlainVisit): Promise<RepositorySettings> {
  const target = { repository: repository.message };
  const [head, settings] = await Promise.all([
    readHead(connection, { ...target, headOnly: true }, calls),
    connection.settings.get(target, calls).catch((error: unknown) => {
      if (codeOf(error) !== 'UNIMPLEMENTED') throw error;
    }),
  ]);
  return {
    description: settings?.description ?? '',
    defaultBranch: head && 'name' in head ? head.name.toString().replace(HEADS, '') : undefined,
    rules: settings?.rules.length ? Buffer.from(settings.rules).toString() : undefined,
    rulesProblem: settings?.rulesProblem || undefined,
    isComplete: settings !== undefined,
  };
}

/** Returns what identifies a document of rules. */
export function digestOf(rules: string | undefined): string {
  return createHash('sha256')
    .update(rules ?? '')
    .digest('base64url');
}
