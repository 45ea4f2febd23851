/** One step of the schema. Steps are applied in the order of their ids and reverted in reverse. */
export interface Migration {
  /** The same as in Gitaly, so that either Praefect can continue with the other's database. */
  readonly id: string;
  readonly up: readonly string[];
  readonly down: readonly string[];
  /** False for CREATE INDEX CONCURRENTLY, which a transaction cannot contain. */
  readonly isTransactional?: false;
}
