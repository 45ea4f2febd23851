import assert from 'node:assert/strict';
import { gitOutput } from '#testkit/init-repository';

/** What the server has agreed to, and what it must hold then. */
export class Ledger {
  readonly #start: string;
  /** Ids of accepted commits by branch. */
  readonly #commits = new Map<string, Set<string>>();
  /** References that are of no branch, with what they must hold; `undefined` for those that were deleted. */
  readonly #others = new Map<string, string | undefined>();
  readonly #counts = new Map<string, number>();

  /** @param start the commit at which all branches begin. */
  constructor(start: string) {
    this.#start = start;
  }

  /** A branch has moved to a commit of the caller's. */
  commit(what: string, reference: string, oid: string): void {
    const commits = this.#commits.get(reference) ?? new Set();
    assert.ok(!commits.has(oid), `${oid} was accepted twice on ${reference}`);
    this.#commits.set(reference, commits.add(oid));
    this.count(what);
  }

  /** A reference that nobody else touches holds this now; `undefined`: it is gone. */
  hold(what: string, reference: string, oid: string | undefined): void {
    this.#others.set(reference, oid);
    this.count(what);
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  /** How many commits were accepted on a branch. */
  accepted(reference: string): number {
    return this.#commits.get(reference)?.size ?? 0;
  }

  /** How often everything happened. */
  summary(): string[] {
    return [...this.#counts].toSorted().map(([what, count]) => `${count} ${what}`);
  }

  /** Each branch has exactly the accepted commits, in one line; each other reference holds what it must. */
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
    const unknown = [...refs.keys()].filter((name) => !name.startsWith('refs/heads/') && !this.#others.has(name));
    assert.deepEqual(unknown, [], 'references that nobody made');
  }
}
