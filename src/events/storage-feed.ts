import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { ChangeUser } from '#base/change-user';
import type {
  RecordedRepository,
  RecordingOptions,
  RefChangeRecording,
} from '#git/refs/update/ref-change-recorder';
import type { LifecycleChange } from '#storage/lifecycle/lifecycle-recorder';
import type { NewEvent } from './event.ts';
import type { Intent, IntentFile, Intents } from './intents.ts';
import type { Journal } from './journal.ts';
import { type FoundChange, MAX_REFERENCES, type Observed, RepositoryTracker } from './repository-tracker.ts';
import type { UnrecordedChanges } from './unrecorded-changes.ts';

export interface StorageFeedOptions {
  readonly journal: Journal;
  readonly intents: Intents;
  readonly unrecorded: UnrecordedChanges;
  readonly onProblem: (error: unknown) => void;
}

const ORPHAN_MS = 300_000;
const ORPHAN_LOOKS = 150;

/** A change that is under way. */
type RunningChange = Pick<RecordingOptions, 'user' | 'wanted'>;

/** A repository with changes under way. */
interface Tracked {
  readonly tracker: RepositoryTracker;
  readonly running: Set<RunningChange>;
  relativePath: string;
  /** The repository was removed. There may be another one at its path. */
  isGone: boolean;
}

/** Records the changes of one storage: an intent before each, events after it. */
export class StorageFeed implements AsyncDisposable {
  readonly journal: Journal;
  readonly #intents: Intents;
  readonly #unrecorded: UnrecordedChanges;
  /** Changes under way without an intent. */
  #unrecordedCount = 0;
  readonly #onProblem: (error: unknown) => void;
  readonly #tracked = new Map<string, Tracked>();

  constructor({ journal, intents, unrecorded, onProblem }: StorageFeedOptions) {
    this.#unrecorded = unrecorded;
    this.journal = journal;
    this.#intents = intents;
    this.#onProblem = onProblem;
  }

  /** Begins a change of references. @see RefChangeRecorder */
  async begin(
    repository: RecordedRepository,
    relativePath: string,
    names: readonly string[] | undefined,
    options: RecordingOptions,
  ): Promise<RefChangeRecording> {
    const change: RunningChange = { user: options.user, wanted: options.wanted };
    const tracked = this.#track(relativePath, change);
    const { tracker } = tracked;
    const isFew = names !== undefined && names.length <= MAX_REFERENCES;
    let before: Observed | undefined;
    let after: ReadonlyMap<string, string | undefined> = new Map();
    let isKnown = false;
    let file: IntentFile | undefined;
    try {
      const { last } = this.journal;
      before = isFew ? await tracker.observe(repository, names, options) : undefined;
      isKnown = before !== undefined || (names === undefined && (await tracker.observeAll(repository)));
      const values = before && { values: before.values };
      file = await this.#intents.write({ kind: 'references', relativePath, after: last, ...values });
    } catch (error) {
      this.#onProblem(error);
    }
    if (file === undefined) await this.#beginUnrecorded([relativePath]);
    const compare = async (): Promise<void> => {
      if (!isKnown) return void this.#add(tracked, { kind: 'resync' });
      await (before === undefined
        ? tracker.compareAll(repository)
        : tracker.compare(repository, before, after));
    };
    return {
      succeeded: (values) => {
        after = values;
      },
      [Symbol.asyncDispose]: async () => {
        const isSame = (): boolean => !tracked.isGone && tracked.relativePath === relativePath;
        if (isSame()) await compare().catch((error: unknown) => this.#unreadable(repository, tracked, error));
        if (!isSame()) this.#replaced(repository, tracked, relativePath);
        await this.#end(tracked, change, file);
      },
    };
  }

  /**
   * Looks at references of a dead process's change for some minutes: a git that it had started may
   * still move them.
   */
  async watchOrphans(
    repository: RecordedRepository,
    { relativePath, values }: Pick<Intent, 'relativePath' | 'values'>,
    signal: AbortSignal,
  ): Promise<void> {
    const look = () => this.begin(repository, relativePath, values && Object.keys(values), {});
    // Comparing all references may take long.
    const looks = values === undefined ? 1 : ORPHAN_LOOKS;
    let change = await look();
    for (let number = 1; !signal.aborted; number++) {
      await delay(ORPHAN_MS / looks, undefined, { ref: false, signal }).catch(() => {}); // the loop ends
      if (number === looks) break;
      // Values are remembered as long as there is a change.
      const next = await look();
      await change[Symbol.asyncDispose]();
      change = next;
    }
    await change[Symbol.asyncDispose]();
  }

  /** Makes a change of a repository. @see LifecycleRecorder */
  async recordWhile(
    change: LifecycleChange,
    make: () => Promise<void>,
    opened: RecordedRepository,
  ): Promise<void> {
    const { kind, location, previousPath, user } = change;
    const { relativePath } = location;
    const event = { kind, relativePath, ...(previousPath !== undefined && { previousPath }) };
    const running: RunningChange = { user };
    const written = this.#intents.write({ ...event, after: this.journal.last });
    const file = (await written.catch(this.#onProblem)) ?? undefined;
    if (file === undefined) await this.#beginUnrecorded([relativePath, previousPath ?? relativePath]);
    const tracked = this.#track(relativePath, running);
    try {
      if (kind === 'created') tracked.tracker.startEmpty();
      await make();
      void this.journal.add([{ ...event, ...(user && { user }) }]);
      if (previousPath !== undefined) this.#move(previousPath, relativePath);
      if (kind === 'removed') this.#forget(tracked);
      if (kind === 'created')
        await tracked.tracker
          .compareAll(opened)
          .catch((error: unknown) => this.#unreadable(opened, tracked, error));
    } finally {
      await this.#end(tracked, running, file);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.journal[Symbol.asyncDispose]();
    await this.#intents[Symbol.asyncDispose]();
    await this.#unrecorded[Symbol.asyncDispose]();
  }

  #track(relativePath: string, change: RunningChange): Tracked {
    let tracked = this.#tracked.get(relativePath);
    if (tracked === undefined) {
      const made: Tracked = {
        tracker: new RepositoryTracker((finding) => this.#add(made, finding)),
        running: new Set(),
        relativePath,
        isGone: false,
      };
      this.#tracked.set(relativePath, made);
      tracked = made;
    }
    tracked.running.add(change);
    return tracked;
  }

  /** Running changes continue at the new path. Another repository may be created at the old one. */
  #move(previousPath: string, relativePath: string): void {
    const tracked = this.#tracked.get(previousPath);
    if (tracked === undefined) return;
    tracked.relativePath = relativePath;
    this.#tracked.delete(previousPath);
    this.#tracked.set(relativePath, tracked);
  }

  /**
   * The repository of a change was moved or removed in the meantime. The change may belong to it,
   * or to another repository that is now at the path.
   */
  #replaced(repository: RecordedRepository, tracked: Tracked, relativePath: string): void {
    this.#add(tracked, { kind: 'resync' });
    if (existsSync(repository.path)) void this.journal.add([{ kind: 'resync', relativePath }]);
  }

  #forget(tracked: Tracked): void {
    tracked.isGone = true;
    for (const [path, each] of this.#tracked) if (each === tracked) this.#tracked.delete(path);
  }

  async #end(tracked: Tracked, change: RunningChange, file: IntentFile | undefined): Promise<void> {
    tracked.running.delete(change);
    if (tracked.running.size === 0) this.#forget(tracked);
    // The intent is kept until its events are in the journal.
    const isWritten = await this.journal.add([]);
    if (file === undefined) this.#unrecordedCount--;
    else if (isWritten) this.#intents.clear(file);
    else await this.#intents.leave(file).catch(this.#onProblem);
    if (isWritten && this.#unrecordedCount === 0) await this.#unrecorded.clear();
  }

  /** After a kill it is at least known which repositories may have changed. */
  async #beginUnrecorded(relativePaths: readonly string[]): Promise<void> {
    this.#unrecordedCount++;
    for (const path of relativePaths) await this.#unrecorded.note(path);
  }

  #add({ isGone, relativePath, running }: Tracked, finding: FoundChange): void {
    if (isGone) return;
    const user = finding.kind === 'reference' ? userOf(running, finding) : undefined;
    void this.journal.add([{ ...eventOf(relativePath, finding), ...(user && { user }) }]);
  }

  /**
   * The repository may have been removed in the meantime; otherwise its references have to be
   * listed.
   */
  #unreadable(repository: RecordedRepository, tracked: Tracked, error: unknown): void {
    if (tracked.isGone || !existsSync(repository.path)) return;
    this.#onProblem(error);
    this.#add(tracked, { kind: 'resync' });
  }
}

/**
 * Returns the user who has set a value. Changes at the same time find each other's values, so it is
 * the one who wanted this value. Without one it is the user of all changes that may set any.
 */
function userOf(
  running: ReadonlySet<RunningChange>,
  { newValue, reference }: Extract<FoundChange, { kind: 'reference' }>,
): ChangeUser | undefined {
  const all = [...running];
  const setters = all.filter(({ wanted }) => wanted?.has(reference) && wanted.get(reference) === newValue);
  const candidates =
    setters.length > 0 ? setters : all.filter(({ wanted }) => wanted?.has(reference) !== true);
  const [first] = candidates;
  return candidates.every(({ user }) => isDeepStrictEqual(user, first?.user)) ? first?.user : undefined;
}

/** Returns the event of a finding, without fields that have no value. */
export function eventOf(relativePath: string, finding: FoundChange): NewEvent {
  if (finding.kind === 'resync') return { kind: 'resync', relativePath };
  const { kind, reference, oldValue, newValue } = finding;
  return {
    kind,
    relativePath,
    reference,
    ...(oldValue !== undefined && { oldValue }),
    ...(newValue !== undefined && { newValue }),
  };
}
