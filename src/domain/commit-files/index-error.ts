import { quote } from '#base/go/quote';

/** The problem of an action with its path, in the tree that the earlier actions have made. */
export type IndexProblem =
  | 'directory exists'
  | 'directory traversal'
  | 'empty path'
  | 'file exists'
  | 'file not found'
  | 'invalid path';

/** The messages, which clients show. */
const TEXTS = {
  'directory exists': () => 'A directory with this name already exists',
  'directory traversal': () => 'Path cannot include directory traversal',
  'empty path': () => 'You must provide a file path',
  'file exists': () => 'A file with this name already exists',
  'file not found': () => "A file with this name doesn't exist",
  'invalid path': (path: Buffer) => `invalid path: ${quote(path)}`,
} as const satisfies Record<IndexProblem, (path: Buffer) => string>;

/** An action does not fit the tree, or its path is invalid. */
export class IndexError extends Error {
  override readonly name = 'IndexError';
  readonly problem: IndexProblem;
  readonly path: Buffer;

  constructor(problem: IndexProblem, path: Buffer) {
    super(TEXTS[problem](path));
    this.problem = problem;
    this.path = path;
  }
}
