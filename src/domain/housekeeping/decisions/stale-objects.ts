/**
 * Age at which unreachable objects are dropped. Longer than any push, and than the time in which
 * users notice that a branch was deleted by mistake over a weekend.
 */
export const STALE_OBJECTS_MS = 10 * 24 * 60 * 60 * 1000;
