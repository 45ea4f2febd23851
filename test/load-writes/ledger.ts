import assert from 'node:assert/strict';
import { gitOutput } from '#testkit/repositories/init-repository';

/** Changes that the server has accepted, and the resulting expected state. */
export class Ledger {
  readonly #start: string;
  /** Ids of accepted commits by branch. */
  readonly #commits = new Map<string, Set<string>>();
  /** Other references with their expected values; `undefined` for deleted ones. */
  readonly #others = new Map<string, string | undefined>();
  readonly #counts = new Map<string, number>();

  /** Creates the ledger. @param start the commit at which all branches begin. */
  constructor(start: string) {
    this.#start = start;
  }

  /** Records that a branch has moved to the caller's commit. */
  commit(what: string, reference: string, oid: string): void {
    const commits = this.#commits.get(reference) ?? new Set();
    assert.ok(!commits.has(oid), `${oid} was accepted twice on ${reference}`);
    this.#commits.set(reference, commits.add(oid));
    this.count(what);
  }

  /**
   * Records the value of a reference that no other writer changes; `undefined` if it is deleted.
   */
  hold(what: string, reference: string, oid: string | undefined): void {
    this.#others.set(reference, oid);
    this.count(what);
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** Returns the number of accepted commits on a branch. */
  accepted(reference: string): number {
    return this.#commits.get(reference)?.size ?? 0;
  }

  /** Returns the number of each kind of change. */
  summary(): string[] {
    return [...this.#counts].toSorted().map(([what, count]) => `${count} ${what}`);
  }

  /**
   * Checks that each branch has exactly the accepted commits, in one line, and that each other
   * reference has its expected value.
   */
  assertKept(directory: string): void {
    const refs = new Map(
      gitOutput(directory, ['for-each-ref', '--format=%(refname) %(objectname)'])
        .split('\n')
        .map((line) => line.split(' ') as [string, string]), // a name and an id in each line
    );
    for (const [reference, accepted] of this.#commits) {
      const history = gitOutput(directory, ['rev-list', `${this.#start}..${reference}`]).split('\n');
      assert.deepEqual(history.toSorted(), [...accepted].toSorted(), `the history of ${reference}`);
      assert.equal(gitOutput(directory, ['rev-list', '--merges', '--count', reference]), '0');
    }
    for (const [reference, oid] of this.#others) assert.equal(refs.get(reference), oid, reference);
    const unknown = [...refs.keys()].filter(
      (name) => !name.startsWith('refs/heads/') && !this.#others.has(name),
    );
    assert.deepEqual(unknown, [], 'references that nobody made');
  }
}
