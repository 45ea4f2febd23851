/** Version of git's protocol. */
export type Protocol = '0' | '1' | '2';

/** One command of a case. */
export interface Step {
  /** Whose repository is the working directory; `origin` is another client's. */
  readonly at: 'client' | 'origin' | 'server';
  /**
   * Arguments of git. `URL` is the repository of the place; `{REVISION}` is the id of an object of
   * the origin.
   */
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Commands of a client in a directory that is empty, and changes on the server meanwhile. */
export interface TransportCase {
  readonly name: string;
  readonly steps: readonly Step[];
}

type More = Omit<Step, 'at' | 'args'>;

/** Returns a command of the client, its words separated by spaces. */
export function client(words: string, more: More = {}): Step {
  return { at: 'client', args: words.split(' '), ...more };
}

/** Returns a command on the server's disk, of which a running server need not be aware. */
export function server(words: string, more: More = {}): Step {
  return { at: 'server', args: words.split(' '), ...more };
}

/** Returns a push of another client. */
export function others(refspecs: string): Step {
  return { at: 'origin', args: ['push', '-q', 'URL', ...refspecs.split(' ')] };
}

/** Two commits on `main` that the client does not have. */
export const ADVANCE = others('{next}:refs/heads/main');

export const CLONE = client('clone -q URL .');
export const COMMIT = client('commit -q --allow-empty -m mine');

/** Returns a case by its name and steps. */
export function transportCase(name: string, ...steps: readonly Step[]): TransportCase {
  return { name, steps };
}
