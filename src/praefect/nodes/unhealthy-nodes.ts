/** Texts of Gitaly, which clients may know. */
export const PRIMARY_DOWN = 'primary gitaly is not healthy';
export const ALL_DOWN = 'no healthy nodes';

/** Error of a call for which no node is healthy that could take it. */
export class UnhealthyNodesError extends Error {
  override readonly name = 'UnhealthyNodesError';

  constructor(message: typeof PRIMARY_DOWN | typeof ALL_DOWN) {
    super(message);
  }
}
