import assert from 'node:assert/strict';
import type { RepositoryEvent } from '#client/index';
import { runGit } from '#testkit/repositories/run-git';

/** References of a repository by name, as its events say. */
export type Replayed = Map<string, string>;

/** The knowledge of a consumer that has read the events of a storage from the first on. */
export class Replay {
  readonly repositories = new Map<string, Replayed>();
  /** Repositories whose references a consumer has to list, since they were last listed. */
  readonly unknown = new Set<string>();
  cursor = 0n;

  /** Applies an event. Fails if it does not follow from those before. */
  apply(event: RepositoryEvent): void {
    const { kind, relativePath, sequence } = event;
    if (kind === 'compacted') {
      this.#begin();
      return;
    }
    assert.ok(sequence > this.cursor, `event ${sequence} after ${this.cursor}`);
    this.cursor = sequence;
    if (kind === 'created') this.repositories.set(relativePath, new Map());
    else if (kind === 'removed') this.repositories.delete(relativePath);
    else if (kind === 'resync') this.unknown.add(relativePath);
    else if (kind === 'renamed') {
      const moved = this.repositories.get(event.previousPath ?? '');
      assert.ok(moved, `${event.previousPath} is not known`);
      this.repositories.delete(event.previousPath ?? '');
      this.repositories.set(relativePath, moved);
    } else this.#move(event);
  }

  #begin(): void {
    this.repositories.clear();
    this.unknown.clear();
    this.cursor = 0n;
  }

  #move({ relativePath, reference, oldValue, newValue }: RepositoryEvent): void {
    const references = this.repositories.get(relativePath);
    const name = reference?.toString() ?? '';
    assert.ok(references, `${relativePath} is not known`);
    // Compacted events are the first ones of their references, and have no old value.
    if (!this.unknown.has(relativePath) && (oldValue !== undefined || references.has(name)))
      assert.equal(oldValue, references.get(name), `old value of ${name} in ${relativePath}`);
    if (newValue === undefined) references.delete(name);
    else references.set(name, newValue);
  }
}

/** Returns HEAD and the references of a repository, as git lists them. */
export async function referencesOf(directory: string): Promise<Map<string, string>> {
  const text = await runGit(['-C', directory, 'for-each-ref', '--format=%(refname) %(objectname)']);
  const head = await runGit(['-C', directory, 'symbolic-ref', 'HEAD']);
  return new Map([
    ['HEAD', `ref: ${head}`],
    ...text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(' ') as [string, string]),
  ]);
}
