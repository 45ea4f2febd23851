import type { GitExitError } from '#git/command/process/exit-error';
import type { ReferenceBackend } from '#git/repository-files/repository-format';

/** The recognized reasons why git refuses to change references. */
export type RefUpdateProblem =
  | 'locked'
  | 'packed-refs-locked'
  | 'invalid-name'
  | 'directory-conflict'
  | 'conflicting-updates'
  | 'object-missing'
  | 'object-not-commit'
  | 'unexpected-value'
  | 'already-exists'
  | 'updated-twice';

/** Names and ids in git's message; names are git's bytes. */
export interface RefUpdateFacts {
  readonly reference?: Buffer;
  /** The conflicting reference. */
  readonly existingReference?: Buffer;
  readonly expectedOid?: string;
  readonly actualOid?: string;
}

/** Texts that clients receive at the end of many messages. */
const TEXTS: Readonly<Record<RefUpdateProblem, string>> = {
  locked: 'reference is already locked',
  'packed-refs-locked': 'packed-refs locked',
  'invalid-name': 'invalid reference format',
  'directory-conflict': 'file directory conflict',
  'conflicting-updates': 'conflicting reference updates in the same transaction',
  'object-missing': 'target object missing',
  'object-not-commit': 'target object not a commit',
  'unexpected-value': 'reference does not point to expected object',
  'already-exists': 'reference already exists',
  'updated-twice': 'reference has been updated multiple times within a transaction',
};

/** git refused to change references for a reason that a caller can handle. */
export class RefUpdateError extends Error {
  override readonly name = 'RefUpdateError';
  readonly problem: RefUpdateProblem;
  readonly facts: RefUpdateFacts;

  constructor(problem: RefUpdateProblem, facts: RefUpdateFacts, cause: unknown) {
    super(TEXTS[problem], { cause });
    this.problem = problem;
    this.facts = facts;
  }
}

type Rule = readonly [RegExp, RefUpdateProblem, (match: RegExpMatchArray) => RefUpdateFacts];

const named = (match: RegExpMatchArray): RefUpdateFacts => ({ reference: bytes(match[1]) });
const inTheWay = (match: RegExpMatchArray): RefUpdateFacts => ({
  existingReference: bytes(match[1]),
  reference: bytes(match[2]),
});

/**
 * git's messages (2.39 to 2.53, in English; with reftable some words are missing) and their
 * reasons. The first match is used. A name has no space and no colon, so that no text can be split
 * in many ways.
 */
const RULES: readonly Rule[] = [
  [/packed-refs\.lock': File exists\./, 'packed-refs-locked', () => ({})],
  [/packed-refs\.new: File exists\n$/, 'packed-refs-locked', () => ({})],
  [/^fatal: [a-z]+: cannot lock ref '([^ :\n]+)': Unable [^\n]*: File exists\./, 'locked', named],
  [/^fatal: (?:prepare|commit): cannot lock references/, 'locked', () => ({ reference: Buffer.alloc(0) })],
  [/^fatal: invalid ref format: (.+)\n$/, 'invalid-name', named],
  [
    /^fatal: .*: cannot lock ref '[^ :\n]*': '([^ :\n]*)' exists; cannot create '([^ :\n]*)'\n/,
    'directory-conflict',
    inTheWay,
  ],
  [
    /^fatal: .*: cannot process '([^ :\n]*)' and '([^ :\n]*)' at the same time\n/,
    'conflicting-updates',
    inTheWay,
  ],
  [/^fatal: .*trying to write ref '([^ :\n]*)' with nonexistent object/, 'object-missing', named],
  [
    /^fatal: (?:.*: )?trying to write non-commit object [0-9a-f]+ to branch '(.*)'/,
    'object-not-commit',
    named,
  ],
  [
    /^fatal: (?:.*: )?cannot lock ref '([^ :\n]*)': is at ([0-9a-f]+) but expected ([0-9a-f]+)\n/,
    'unexpected-value',
    (match) => ({ reference: bytes(match[1]), actualOid: match[2] ?? '', expectedOid: match[3] ?? '' }),
  ],
  [/^fatal: .*: cannot lock ref '([^ :\n]*)': reference already exists\n/, 'already-exists', named],
  [/^fatal: .*: multiple updates for ref '([^ :\n]*)' not allowed/, 'updated-twice', named],
];

/**
 * git 2.53 has the same message for a conflicting packed reference; clients know that as a plain
 * failure (recorded), so these rules apply only to reftable.
 */
const REFTABLE_RULES: readonly Rule[] = [
  [/^fatal: .*: '([^ :\n]*)' exists; cannot create '([^ :\n]*)'\n/, 'directory-conflict', inTheWay],
  ...RULES,
];

/**
 * Recognizes the reason of a failed `git update-ref` from its standard error, in a repository with
 * this reference backend.
 *
 * @returns the error itself for a reason that callers do not handle.
 */
export function refUpdateError(
  error: GitExitError,
  stderr: Buffer,
  backend: ReferenceBackend,
): RefUpdateError | GitExitError {
  const text = stderr.toString('latin1');
  for (const [pattern, problem, facts] of backend === 'reftable' ? REFTABLE_RULES : RULES) {
    const match = pattern.exec(text);
    if (match !== null) return new RefUpdateError(problem, facts(match), error);
  }
  return error;
}

function bytes(latin1: string | undefined): Buffer {
  return Buffer.from(latin1 ?? '', 'latin1');
}
