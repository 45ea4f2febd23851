import { type Database, sql } from '#praefect/database/database';

/**
 * Returns what makes two schemas equal for their users: one line for each column, constraint,
 * index, trigger, function, enum and sequence. The texts of views and functions are not part of
 * it. PostgreSQL 18 lists NOT NULL as a constraint, too; it is part of the column here.
 */
export async function schemaFacts(database: Database): Promise<string[]> {
  const rows = await database.rows(sql<{ fact: string }>`
    SELECT concat_ws(' ', 'column', c.relname, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
      a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
      pg_get_expr(d.adbin, d.adrelid)) AS fact
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
    UNION ALL
    SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT concat_ws(' ', 'index', pg_get_indexdef(i.indexrelid),
      CASE WHEN NOT i.indisvalid THEN 'INVALID' END)
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(oid)) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws(' ', 'function', proname, pg_get_function_result(oid)) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'enum', t.typname, string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder))
    FROM pg_type AS t JOIN pg_enum AS e ON e.enumtypid = t.oid GROUP BY t.typname
    UNION ALL
    SELECT concat_ws(' ', 'sequence', c.relname, 'owned by', d.refobjid::regclass, a.attname)
    FROM pg_class AS c JOIN pg_depend AS d ON d.objid = c.oid AND d.deptype = 'a'
    JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE c.relkind = 'S' AND c.relnamespace = 'public'::regnamespace`);
  return rows.map(({ fact }) => fact.replace(/\s+/g, ' ')).sort();
}
