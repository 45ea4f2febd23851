import { changeUser } from '#base/change-user';
import { number, object, oneOf, optional, type Shaped, text } from '#base/shape';
import { fitsPattern, MAX_PATTERN_CHARACTERS } from '#tokens/pattern';

/** A change of a repository or one of its references. */
export const repositoryEvent = object({
  sequence: number,
  kind: oneOf('reference', 'created', 'removed', 'renamed', 'resync', 'compacted'),
  /** Empty if the event is about all repositories of the storage. */
  relativePath: text,
  /** Milliseconds since 1970. */
  timeMs: number,
  /** Full name, one character per byte. */
  reference: optional(text),
  /** Object id or `ref: <name>`; absent if the reference did not exist. */
  oldValue: optional(text),
  /** Absent for a deletion. */
  newValue: optional(text),
  previousPath: optional(text),
  /** Absent if it is not known. */
  user: optional(changeUser),
});
export type RepositoryEvent = Shaped<typeof repositoryEvent>;

/** An event before it gets its number. */
export type NewEvent = Omit<RepositoryEvent, 'sequence' | 'timeMs'>;

/** Repositories and references may have changed in a way that is not known. */
export const RESYNC_ALL = { kind: 'resync', relativePath: '' } as const satisfies NewEvent;

/** Events that are wanted; empty texts match all. */
export interface EventFilter {
  readonly pathPrefix: string;
  readonly referencePattern: string;
}

/** Returns the problem of a reference pattern; `undefined` if it is valid. */
export function checkPattern(pattern: string): string | undefined {
  return pattern.length > MAX_PATTERN_CHARACTERS
    ? `longer than ${MAX_PATTERN_CHARACTERS} characters`
    : undefined;
}

/**
 * Reports whether an event is wanted. Events that are about no reference fit each pattern, those
 * about all repositories fit each filter.
 */
export function isWanted({ pathPrefix, referencePattern }: EventFilter, event: RepositoryEvent): boolean {
  if (event.relativePath === '') return true;
  if (!event.relativePath.startsWith(pathPrefix) && event.previousPath?.startsWith(pathPrefix) !== true)
    return false;
  const { reference } = event;
  return referencePattern === '' || reference === undefined || fitsPattern(referencePattern, reference);
}
