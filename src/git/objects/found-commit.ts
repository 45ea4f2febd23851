import type { RawObject } from '../names/object-info.ts';
import type { Mailmap } from './parse/mailmap.ts';
import { type Commit, parseCommit, parseCommitInTurns } from './parse/parse-commit.ts';

/** Size above which a commit is parsed in slices: below it, its headers take some milliseconds. */
const HUGE_BYTES = 64 << 10;

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

  /** True if {@link parsed} would block the event loop before {@link parse} was called. */
  get isHuge(): boolean {
    return this.object.data.length > HUGE_BYTES;
  }

  /** Parses the commit in slices of the event loop. */
  async parse(): Promise<void> {
    this.#parsed ??= await parseCommitInTurns(this.object.oid, this.object.data, this.mailmap);
  }

  get parsed(): Commit {
    this.#parsed ??= parseCommit(this.object.oid, this.object.data, this.mailmap);
    return this.#parsed;
  }
}

const PEEL_COMMIT = Buffer.from('^{commit}');

/** Returns a revision with `^{commit}` at its end. */
export function peeledToCommit(revision: Buffer): Buffer {
  const isPeeled = !revision.includes(':') && revision.subarray(-PEEL_COMMIT.length).equals(PEEL_COMMIT);
  return isPeeled ? revision : Buffer.concat([revision, PEEL_COMMIT]);
}
