import type { RawObject } from './object-info.ts';
import type { Mailmap } from './parse/mailmap.ts';
import { type Commit, parseCommit } from './parse/parse-commit.ts';

/** A commit object that was read. It is parsed when needed: a caller may know its message already. */
export class FoundCommit {
  readonly object: RawObject;
  /** Applied to its people. */
  readonly mailmap: Mailmap | undefined;
  #parsed: Commit | undefined;

  constructor(object: RawObject, mailmap: Mailmap | undefined) {
    this.object = object;
    this.mailmap = mailmap;
  }

  get parsed(): Commit {
    this.#parsed ??= parseCommit(this.object.oid, this.object.data, this.mailmap);
    return this.#parsed;
  }
}
