import type { RepositoryEvent } from './event.ts';

/** The events of one repository in a part of a journal. */
interface Part {
  /** Path at the end of the part. */
  path: string;
  isGone: boolean;
  /** Earlier events of references are dropped. */
  forgetsReferences: boolean;
  created: RepositoryEvent | undefined;
  resync: RepositoryEvent | undefined;
  /** The last change of its path. */
  renamed: RepositoryEvent | undefined;
  /** Earlier compacted events contain the repository. */
  isKnown: boolean;
  readonly references: Map<string, RepositoryEvent>;
}

/**
 * Merges a part of a journal into the compacted events before it. Of each repository that is still
 * there, the creation, the last `resync` and the last event of each reference since then are left,
 * under the path that it has at the end. The numbers stay, so the order does, too.
 */
export class Compaction {
  /** By the path at the end. */
  readonly #parts = new Map<string, Part>();
  /** Repositories that existed at the beginning, by their path at that time. */
  readonly #origins = new Map<string, Part>();

  /** Some events of the part are missing. */
  isUnknown = false;

  /** Adds the next event of the part. */
  add(event: RepositoryEvent): void {
    const { kind, relativePath, reference } = event;
    this.isUnknown ||= relativePath === '';
    if (kind === 'created') {
      this.#at(relativePath).isGone = true;
      this.#parts.set(relativePath, { ...emptyPart(relativePath), created: event });
      return;
    }
    if (kind === 'renamed') {
      this.#rename(event);
      return;
    }
    const part = this.#at(relativePath);
    if (kind === 'removed') {
      part.isGone = true;
      this.#parts.delete(relativePath);
    } else if (kind === 'resync') {
      part.resync = event;
      part.forgetsReferences = true;
      part.references.clear();
    } else if (reference !== undefined) part.references.set(reference, event);
  }

  /**
   * Returns the rest of an event that was compacted before; `undefined` if nothing is left of it.
   */
  merge(event: RepositoryEvent): RepositoryEvent | undefined {
    const part = this.#origins.get(event.relativePath);
    if (part === undefined) return event;
    part.isKnown = true;
    if (part.isGone) return undefined;
    const { kind, reference } = event;
    if (part.forgetsReferences && kind !== 'created') return undefined;
    if (reference !== undefined && part.references.has(reference)) return undefined;
    return { ...event, relativePath: part.path };
  }

  /** Yields the rest of the part itself, in no order, after all earlier events are merged. */
  *rest(): Generator<RepositoryEvent, void, undefined> {
    for (const { created, isKnown, path, references, renamed, resync } of this.#parts.values()) {
      // A repository that is older than the feed and was renamed: its references have to be listed.
      const isStranger = renamed !== undefined && created === undefined && !isKnown;
      const listed = resync ?? (isStranger ? renamed : undefined);
      if (created !== undefined) yield placed(created, 'created', path);
      if (listed !== undefined) yield placed(listed, 'resync', path);
      for (const { oldValue: _, ...event } of references.values())
        if (event.newValue !== undefined) yield { ...event, relativePath: path };
    }
  }

  #at(path: string): Part {
    const known = this.#parts.get(path);
    if (known !== undefined) return known;
    const part = emptyPart(path);
    this.#parts.set(path, part);
    if (!this.#origins.has(path)) this.#origins.set(path, part);
    return part;
  }

  #rename(event: RepositoryEvent): void {
    const { previousPath = '', relativePath } = event;
    this.#at(relativePath).isGone = true;
    const part = this.#at(previousPath);
    this.#parts.delete(previousPath);
    part.path = relativePath;
    part.renamed = event;
    this.#parts.set(relativePath, part);
  }
}

function emptyPart(path: string): Part {
  return {
    path,
    isGone: false,
    forgetsReferences: false,
    created: undefined,
    resync: undefined,
    renamed: undefined,
    isKnown: false,
    references: new Map(),
  };
}

function placed(event: RepositoryEvent, kind: RepositoryEvent['kind'], path: string): RepositoryEvent {
  return { sequence: event.sequence, kind, relativePath: path, timeMs: event.timeMs };
}
