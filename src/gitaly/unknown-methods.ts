import { quote } from '#base/go/quote';
import { nearestName } from '#base/nearest-name';
import type { GitalyConfig } from '#platform/config/load-config';
import { methodInfo } from '#wire/method-info';
import { servedByGitaly } from '#wire/methods';

/** A limit that names no RPC of this server, so that it limits nothing. */
export interface UnknownMethod {
  /** `concurrency[0].rpc` */
  readonly key: string;
  readonly message: string;
}

/** Returns the limits of `[[concurrency]]` and `[[rate_limiting]]` whose `rpc` does not exist. */
export function unknownMethods({
  concurrency,
  rateLimiting,
}: Pick<GitalyConfig, 'concurrency' | 'rateLimiting'>): UnknownMethod[] {
  if (concurrency.length + rateLimiting.length === 0) return [];
  const known = new Set(
    servedByGitaly.flatMap(({ methods }) => methods.map((method) => methodInfo(method).path)),
  );
  const tables = { concurrency, rate_limiting: rateLimiting };
  return Object.entries(tables).flatMap(([table, limits]) =>
    limits.flatMap(({ rpc }, index) => {
      if (known.has(rpc)) return [];
      const key = `${table}[${index}].rpc`;
      return [{ key, message: `${key} names no RPC of this server: ${quote(rpc)}${hint(rpc, known)}` }];
    }),
  );
}

function hint(rpc: string, known: ReadonlySet<string>): string {
  const full = [`/${rpc}`, `/gitaly.${rpc}`].find((path) => known.has(path)) ?? byName(rpc, known);
  const nearest = full ?? nearestName(rpc, known);
  return nearest === undefined
    ? '; it is a full name such as "/gitaly.CommitService/FindCommit"'
    : `, did you mean ${quote(nearest)}?`;
}

/** Returns the only RPC of a name without its service. */
function byName(name: string, known: ReadonlySet<string>): string | undefined {
  const found = [...known].filter((path) => path.endsWith(`/${name}`));
  return name !== '' && found.length === 1 ? found[0] : undefined;
}
