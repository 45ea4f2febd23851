/** Nodes for tests: their references and journals are those that a test sets. */
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import type { NodeEvents, ReportedMove } from '#praefect/feed/node-events';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { Event_Kind as Kind } from '#wire/gen/gitalyts/events/v1/events_pb';
import { standIn } from '../stand-in.ts';

/** An event in the journal of a node. */
export interface ScriptedEvent {
  readonly sequence: number;
  readonly relativePath: string;
  /** Default: a reference. */
  readonly kind?: Kind;
  readonly reference?: string;
  readonly oldValue?: string;
  readonly newValue?: string;
}

/** A request for a page of a journal. */
interface ListRequest {
  readonly after: bigint;
  readonly limit: number;
  readonly filter: { readonly pathPrefix: string };
}

function refuseWatching(): never {
  throw new GitalyError('UNIMPLEMENTED', 'the test sets what the node has reported');
}

/** The repositories of a node, and a record of what was requested. */
export class ScriptedNode {
  readonly storage: string;
  /** Values of references by replica path; of HEAD `ref: <name>`. */
  readonly references = new Map<string, ReadonlyMap<string, string>>();
  /** Events of all repositories. */
  readonly events: ScriptedEvent[] = [];
  /** Id of the journal; empty: some events may be missing. */
  journal = 'journal-1';
  /** Code with which requests for references fail. */
  fails: StatusCode | undefined;
  /** Code with which requests for events fail. */
  eventsFail: StatusCode | undefined;
  /** Replica paths whose references were read. */
  readonly reads: string[] = [];
  readonly lists: ListRequest[] = [];

  constructor(storage: string) {
    this.storage = storage;
  }

  /** Returns the node as the feed uses it. */
  get node(): GitalyNode {
    return standIn(this);
  }

  readonly connection = {
    ref: {
      findDefaultBranchName: async ({ repository }: { repository: { relativePath: string } }) => {
        const head = this.#read(repository.relativePath).get('HEAD') ?? '';
        return { name: Buffer.from(head.replace('ref: ', ''), 'latin1') };
      },
      listRefs: (request: { repository: { relativePath: string }; patterns: readonly Buffer[] }) =>
        this.#listRefs(request.repository.relativePath, request.patterns),
    },
    client: () => ({
      list: async (request: ListRequest) => this.#list(request),
      watch: () => ({ [Symbol.asyncIterator]: () => ({ next: async () => refuseWatching() }) }),
    }),
  };

  #read(path: string): ReadonlyMap<string, string> {
    if (this.fails !== undefined) throw new GitalyError(this.fails, 'failed as the test wants');
    return this.references.get(path) ?? new Map();
  }

  /**
   * Lists references like `git for-each-ref`: a pattern is a whole name, or a directory of names.
   */
  async *#listRefs(path: string, patterns: readonly Buffer[]) {
    this.reads.push(path);
    const wanted = patterns.map((pattern) => pattern.toString('latin1').replace(/\/$/, ''));
    const references = [...this.#read(path)]
      .filter(([name]) => wanted.some((each) => name === each || name.startsWith(`${each}/`)))
      .map(([name, target]) => ({ name: Buffer.from(name, 'latin1'), target }));
    yield { references };
  }

  #list(request: ListRequest) {
    this.lists.push(request);
    if (this.eventsFail !== undefined) throw new GitalyError(this.eventsFail, 'failed as the test wants');
    const { after, filter, limit } = request;
    const later = this.events.filter(
      ({ relativePath, sequence }) =>
        sequence > Number(after) && (relativePath === '' || relativePath.startsWith(filter.pathPrefix)),
    );
    const page = later.slice(0, limit);
    const isEnd = page.length === later.length;
    const last = isEnd ? this.events.at(-1) : page.at(-1);
    return {
      journal: this.journal,
      isEnd,
      cursor: BigInt(Math.max(last?.sequence ?? 0, Number(after))),
      events: page.map(
        ({ kind = Kind.REFERENCE, newValue, oldValue, reference, relativePath, sequence }) => ({
          kind,
          relativePath,
          sequence: BigInt(sequence),
          reference: Buffer.from(reference ?? '', 'latin1'),
          oldValue: oldValue ?? '',
          newValue: newValue ?? '',
        }),
      ),
    };
  }
}

/** The events that nodes have reported, for tests. */
export class ScriptedNodeEvents {
  /** Sequence of the last event of each node. */
  lastSequence: number | undefined;
  followed = false;
  /** Returns the moves that can be seen at the n-th look. */
  steps: (look: number) => readonly (readonly ReportedMove[] | undefined)[] = () => [];
  looks = 0;

  /** Returns the object as the feed uses it. */
  get nodeEvents(): NodeEvents {
    return standIn(this);
  }

  async started(): Promise<void> {}

  last(): number | undefined {
    return this.lastSequence;
  }

  isFollowed(): boolean {
    return this.followed;
  }

  between(
    _node: unknown,
    _replicaPath: string,
    moves: readonly unknown[],
  ): readonly (readonly ReportedMove[] | undefined)[] {
    this.looks++;
    const steps = this.steps(this.looks);
    return moves.map((_, index) => steps[index]);
  }
}
