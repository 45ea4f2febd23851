import { sql } from '../database/database.ts';

/** How long a node counts as active after a Praefect saw it. The views of the schema use it, too. */
export const ACTIVE_SECONDS = 10;

/** Result of one check of a node by one Praefect. */
export interface NodeCheck {
  readonly virtualStorage: string;
  readonly storage: string;
  readonly isServing: boolean;
  /** True for a process that has certainly ended; it no longer counts as active. */
  readonly isGone: boolean;
}

/**
 * Returns the statement that records the results of a Praefect's checks. Gitaly's Praefects elect
 * only after a node was not seen for ten seconds. A node that is gone is recorded as last seen
 * before that, so that elections need not wait.
 */
export function recordStatus(praefectName: string, nodes: readonly NodeCheck[]) {
  return sql`
    INSERT INTO node_status AS known
      (praefect_name, shard_name, node_name, last_contact_attempt_at, last_seen_active_at)
    SELECT ${praefectName}::text, shard, node, now(), CASE WHEN is_serving THEN now() END
    FROM unnest(
      ${nodes.map(({ virtualStorage }) => virtualStorage)}::text[],
      ${nodes.map(({ storage }) => storage)}::text[],
      ${nodes.map(({ isServing }) => isServing)}::boolean[]
    ) AS checked(shard, node, is_serving)
    ON CONFLICT (praefect_name, shard_name, node_name) DO UPDATE SET
      last_contact_attempt_at = excluded.last_contact_attempt_at,
      last_seen_active_at = CASE
        WHEN (known.shard_name, known.node_name) IN (
          SELECT * FROM unnest(
            ${nodes.filter(({ isGone }) => isGone).map(({ virtualStorage }) => virtualStorage)}::text[],
            ${nodes.filter(({ isGone }) => isGone).map(({ storage }) => storage)}::text[]
          )
        )
        THEN least(known.last_seen_active_at, now() - make_interval(secs => ${ACTIVE_SECONDS + 1}))
        ELSE coalesce(excluded.last_seen_active_at, known.last_seen_active_at)
      END`;
}
