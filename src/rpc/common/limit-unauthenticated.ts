/** A feature flag. On: calls without a user name have the limits of unauthenticated callers. */
export const LIMIT_UNAUTHENTICATED = { name: 'limit_unauthenticated', onByDefault: true } as const;
