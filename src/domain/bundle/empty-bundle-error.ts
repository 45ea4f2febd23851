/** The repository has nothing that the bundle could contain. */
export class EmptyBundleError extends Error {
  override readonly name = 'EmptyBundleError';

  constructor() {
    super('refusing to create empty bundle');
  }
}
