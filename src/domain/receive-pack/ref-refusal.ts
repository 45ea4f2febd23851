import type { GitCapabilities } from '#git/command/capabilities';

/** Texts of git for a change that was refused while others of the same push are made (2.51 on). */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/: is at [0-9a-f]+ but expected [0-9a-f]+$/, 'incorrect old value provided'],
  [/: reference already exists$|\.lock': File exists\./, 'reference already exists'],
  [/: reference is missing but expected [0-9a-f]+$/, 'reference does not exist'],
  [/: unable to resolve reference '[^\n']*'$/, 'reference does not exist'],
  [/'[^\n']*' exists; cannot create '[^\n']*'$/, 'refname conflict'],
  [/^there is a non-empty directory|: there is a non-empty directory/, 'refname conflict'],
];
const FATAL = /^fatal: (?:prepare: |commit: )?/;

/** How receive-pack reports that git could not change a reference. */
export interface RefRefusal {
  readonly reason: string;
  /** Printed before the report; `undefined` for none. */
  readonly message: Buffer | undefined;
  /** True if the transaction goes on without the reference, with its hooks. */
  readonly isRejected: boolean;
}

/** A change, and the git that refused it. */
export interface RefusedUpdate {
  readonly isAtomic: boolean;
  /** Directory of the repository. */
  readonly path: string;
  readonly capabilities: Pick<GitCapabilities, 'batchedPushes' | 'explainsRejections'>;
}

/**
 * Translates the error of `git update-ref` to that of `git receive-pack`, which makes the same
 * change.
 *
 * @param stderr of update-ref.
 * @returns `undefined` if git did not refuse the change but failed.
 */
export function refRefusal(
  stderr: Buffer,
  { isAtomic, path, capabilities: { batchedPushes, explainsRejections } }: RefusedUpdate,
): RefRefusal | undefined {
  const text = stderr.toString('latin1');
  const at = text.lastIndexOf('fatal: ');
  if (at === -1 || (at > 0 && text[at - 1] !== '\n')) return undefined;
  const error = withPathsOfReceivePack(text.slice(at).replace(FATAL, '').trimEnd(), path);
  const message = Buffer.from(error, 'latin1');
  if (isAtomic) return { reason: 'atomic transaction failed', message, isRejected: false };
  if (!batchedPushes) return { reason: 'failed to update ref', message, isRejected: false };
  const [firstLine = ''] = error.split('\n');
  const reason = REASONS.find(([pattern]) => pattern.test(firstLine))?.[1];
  if (reason !== undefined)
    return { reason, message: explainsRejections ? message : undefined, isRejected: true };
  return { reason: 'failed to update refs', message, isRejected: false };
}

/** Returns a message with the paths as git prints them that runs in the repository's directory. */
function withPathsOfReceivePack(message: string, path: string): string {
  const directory = `${Buffer.from(path).toString('latin1')}/`;
  return message
    .replace(`Unable to create '${directory}`, `Unable to create '${directory}./`)
    .replace(`directory '${directory}`, "directory './");
}
