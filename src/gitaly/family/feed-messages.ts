import type { RepositoryEvent } from '#events/event';
import type { CompactedFile, JournalPart } from '#events/journal-part';
import type { RecordingOptions } from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange } from '#storage/lifecycle/lifecycle-recorder';

/** Topics of the change feed. The supervisor has it, because its events have one order. */
export const FEED = {
  /** Asked with {@link BegunChange}; the answer is held, its value the number of the change. */
  begin: 'feed: references change',
  /** Asked with {@link BegunLifecycle}; likewise. */
  beginLifecycle: 'feed: repository changes',
  /** Asked with {@link EndedChange}; answered when the events are in the journal. */
  end: 'feed: change ended',
  /** Asked with the name of a storage, answered with {@link JournalState}; also told after news. */
  state: 'feed: state',
  /** Asked with {@link WantedEvents}, answered with a {@link JournalPart} or {@link TooOld}. */
  locate: 'feed: locate events',
  /** Asked with the name of a storage, answered with a {@link CompactedFile}. */
  locateCompacted: 'feed: locate compacted events',
} as const;

interface Place {
  readonly storageName: string;
  readonly relativePath: string;
}

export interface BegunChange extends Place {
  readonly names: readonly string[] | undefined;
  readonly options: RecordingOptions;
}

export interface BegunLifecycle extends Place, Pick<LifecycleChange, 'kind' | 'previousPath'> {}

export interface EndedChange {
  readonly id: number;
  /** The repository was not created, removed or moved. */
  readonly hasFailed: boolean;
}

export interface JournalState {
  readonly storageName: string;
  readonly id: string;
  readonly last: number;
  readonly oldest: number;
}

export interface WantedEvents {
  readonly storageName: string;
  readonly after: number;
}

/** Result of a request for events that are no longer stored. */
export interface TooOld {
  readonly tooOld: string;
}

export type LocatedEvents = JournalPart | TooOld;
export type LocatedCompacted = CompactedFile;
export type Events = readonly RepositoryEvent[];
