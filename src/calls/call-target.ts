import type { ServerCall } from '#rpc/server/server-call';

/** The repository of a call. Texts are empty if they are not known. */
export interface CallTarget {
  readonly storage: string;
  readonly repository: string;
  readonly project: string;
  /** Storages of the nodes that serve a call of a cluster; `undefined` elsewhere. */
  readonly nodes: readonly string[] | undefined;
}

/** The log field of Praefect about the nodes of a call. */
interface Route {
  readonly storage?: string;
  readonly storages?: readonly string[];
  readonly primary?: string;
  readonly secondaries?: readonly string[];
}

/**
 * Returns the repository that a call is about. Praefect passes most requests on without names in
 * the call; its log fields have them.
 */
export function callTarget({ logFields, targets }: ServerCall): CallTarget {
  const target = targets?.repository;
  return {
    storage: target?.storageName ?? stringOrEmpty(logFields.virtual_storage),
    repository: target?.relativePath ?? stringOrEmpty(logFields.relative_path),
    project: target?.glProjectPath ?? '',
    nodes: nodesOf(logFields.route),
  };
}

function stringOrEmpty(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function nodesOf(route: unknown): readonly string[] | undefined {
  if (typeof route !== 'object' || route === null) return undefined;
  const { primary, secondaries = [], storage, storages = [] } = route as Route; // only Praefect adds it
  return [primary, storage].filter((name) => name !== undefined).concat(secondaries, storages);
}
