import { fitsPattern, MAX_PATTERN_CHARACTERS } from '#tokens/pattern';

/** A change of a repository or one of its references. */
export interface RepositoryEvent {
  readonly sequence: number;
  readonly kind: 'reference' | 'created' | 'removed' | 'renamed' | 'resync' | 'compacted';
  /** Empty if the event is about all repositories of the storage. */
  readonly relativePath: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Full name, one character per byte. */
  readonly reference?: string;
  /** Object id or `ref: <name>`; absent if the reference did not exist. */
  readonly oldValue?: string;
  /** Absent for a deletion. */
  readonly newValue?: string;
  readonly previousPath?: string;
}

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
