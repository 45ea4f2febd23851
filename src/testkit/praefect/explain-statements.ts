import type { Database, Executor, sql } from '#praefect/database/database';
import { standIn } from '../stand-in.ts';

type Statement = ReturnType<typeof sql>;
type QueryExecutor = ReturnType<Executor['getExecutor']>;
type Query = Parameters<QueryExecutor['executeQuery']>[0];

/** A node of PostgreSQL's plan, with the fields that are checked. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** A database that remembers which tables its statements read from start to end. */
export interface ExplainedDatabase {
  readonly database: Database;
  /** Returns the tables since the last call. */
  fullScans(): readonly string[];
}

/** Has each statement explained before it is executed, in transactions, too. */
export function explained(database: Database): ExplainedDatabase {
  const found: string[] = [];
  const watch = (executor: Executor): Executor => {
    const executeQuery = async (inner: QueryExecutor, query: Query) => {
      const { rows } = await inner.executeQuery({ ...query, sql: `EXPLAIN (FORMAT JSON) ${query.sql}` });
      // The column and its content are PostgreSQL's.
      const [row] = rows as { 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }[];
      for (const { Plan: plan } of row?.['QUERY PLAN'] ?? []) found.push(...scannedTables(plan));
      return await inner.executeQuery(query);
    };
    const inner = executor.getExecutor();
    const watched = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'executeQuery') return (query: Query) => executeQuery(target, query);
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    return standIn({ getExecutor: () => watched });
  };
  const rows = (statement: Statement) =>
    database.transaction(async (executor) => (await statement.execute(watch(executor))).rows);
  const transaction = <T>(work: (executor: Executor) => Promise<T>) =>
    database.transaction((executor) => work(watch(executor)));
  const watched = {
    rows,
    search: rows,
    row: async (statement: Statement) => (await rows(statement))[0],
    preparedRow: async (_name: string, statement: Statement) => (await rows(statement))[0],
    run: (statement: Statement) =>
      database.transaction(async (executor) =>
        Number((await statement.execute(watch(executor))).numAffectedRows ?? 0n),
      ),
    transaction,
    searchTransaction: transaction,
  };
  return {
    database: standIn<Database>(watched),
    fullScans: () => found.splice(0),
  };
}

function* scannedTables(node: PlanNode): Generator<string> {
  if (node['Node Type'] === 'Seq Scan' && node['Relation Name'] !== undefined) yield node['Relation Name'];
  for (const child of node.Plans ?? []) yield* scannedTables(child);
}
