import { join } from 'node:path';
import { writeScript } from '#testkit/clients/operation-fixture';
import type { Named } from './fixture.ts';

/** A push that a server receives in process, or leaves to git. */
export interface PushCase {
  readonly what: string;
  readonly command: readonly [from: Named, to: Named, reference: string];
  readonly others?: readonly (readonly [from: Named, to: Named, reference: string])[];
  readonly capabilities?: string;
  readonly pushOptions?: readonly string[];
  /**
   * The object that the pack leads to, and those that it leaves out; default a pack without
   * objects. `damaged` is such a pack with a wrong checksum, `short` one without all of it.
   */
  readonly pack?: readonly [tip: Named, ...not: Named[]] | 'cut' | 'damaged' | 'none' | 'short';
  readonly prepare?: (path: string) => void;
  readonly refuseVote?: string;
  /** Settings of the request. */
  readonly config?: string[];
  readonly isOnlyFiles?: boolean;
  /** Why git receives the push. */
  readonly byGit?: string;
  /** Many references in files, which are created at once without a cluster. */
  readonly isMany?: boolean;
  /**
   * Over SSH git has other words: it has read the references before its client began, or its client
   * gets what it prints for the operator.
   */
  readonly isOnlyHttp?: boolean;
  /** git has the whole conversation, from its advertisement on. */
  readonly isOfGitOverSsh?: boolean;
}

/** Why git receives a push to a name that no file can have; reftables have any name. */
export const TOO_LONG = 'the push cannot be prepared';
export const MAIN = 'refs/heads/main';
export const NEW = 'refs/heads/new';
export const ATOMIC = 'report-status side-band-64k atomic';
export const TALKS = 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo some words of a hook $i; done';

/** Returns a function that installs a script as a custom hook. */
export const script = (hook: string, text: string) => (path: string) =>
  writeScript(join(path, 'custom_hooks', hook), text);
