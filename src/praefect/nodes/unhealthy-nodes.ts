/** Texts of Gitaly, which clients may know. */
export const PRIMARY = 'primary gitaly is not healthy';
export const ALL = 'no healthy nodes';

/** Error of a call for which no node is healthy that could take it. */
export class UnhealthyNodesError extends Error {
  override readonly name = 'UnhealthyNodesError';

  constructor(message: typeof PRIMARY | typeof ALL) {
    super(message);
  }
}
