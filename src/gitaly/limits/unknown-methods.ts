import { quote } from '#base/go/quote';
import { nearestName } from '#base/nearest-name';
import { ConfigError } from '#platform/config/config-error';
import type { GitalyConfig } from '#platform/config/load-config';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { gitalyServices } from '#wire/methods';

/** A limit that names no RPC, so that it limits nothing. */
export interface UnknownMethod {
  /** `['concurrency', 0, 'rpc']` */
  readonly path: readonly [table: string, index: number, key: 'rpc'];
  /** `concurrency[0].rpc` */
  readonly key: string;
  /** The name in the configuration. */
  readonly rpc: string;
  readonly message: string;
  /**
   * True for a name in `[[concurrency]]`, false for a table without a name. Gitaly starts with the
   * latter, and ignores `[[rate_limiting]]` whatever it contains.
   */
  readonly isFatal: boolean;
}

type Limits = Pick<GitalyConfig, 'concurrency' | 'rateLimiting'>;

const EXAMPLE = 'a full name such as "/gitaly.CommitService/FindCommit"';

/**
 * Returns the limits of `[[concurrency]]` and `[[rate_limiting]]` whose `rpc` does not exist in any
 * release of the interface.
 */
export function unknownMethods({ concurrency, rateLimiting }: Limits): UnknownMethod[] {
  if (concurrency.length + rateLimiting.length === 0) return [];
  const known = new Set(
    [...gitalyServices, Health].flatMap((service) =>
      service.methods.map(({ name }) => `/${service.typeName}/${name}`),
    ),
  );
  const tables = { concurrency, rate_limiting: rateLimiting };
  return Object.entries(tables).flatMap(([table, limits]) =>
    limits.flatMap(({ rpc }, index) => {
      if (known.has(rpc)) return [];
      const key = `${table}[${index}].rpc`;
      const message = `${key} names no RPC of this server: ${quote(rpc)}${hint(rpc, known)}`;
      const isFatal = table === 'concurrency' && rpc !== '';
      return [{ path: [table, index, 'rpc'] as const, key, rpc, message, isFatal }];
    }),
  );
}

/**
 * Checks that the limits of `[[concurrency]]` name RPCs.
 *
 * @param file the configuration file for the explanation, if there is one.
 * @returns the other limits that name none, for the log.
 * @throws {ConfigError} for the first unknown name.
 */
export function checkLimitedMethods(limits: Limits, file?: string): UnknownMethod[] {
  const unknown = unknownMethods(limits);
  const fatal = unknown.find(({ isFatal }) => isFatal);
  if (fatal === undefined) return unknown;
  const { key, rpc, message } = fatal;
  const lines = [
    ...(file === undefined ? [] : [['file', file] as const]),
    ['key', key],
    ['read', quote(rpc)],
    ['accepted', EXAMPLE],
  ];
  const explanation = lines.map(([name = '', value]) => `  ${name.padEnd(9)} ${value}`).join('\n');
  const inFile = file === undefined ? '' : `load config: config_path ${quote(file)}: `;
  throw new ConfigError(`${inFile}invalid config: ${message}`, explanation);
}

function hint(rpc: string, known: ReadonlySet<string>): string {
  const full = [`/${rpc}`, `/gitaly.${rpc}`].find((path) => known.has(path)) ?? byName(rpc, known);
  const nearest = full ?? nearestName(rpc, known);
  return nearest === undefined ? `; it is ${EXAMPLE}` : `, did you mean ${quote(nearest)}?`;
}

/** Returns the only RPC of a name without its service. */
function byName(name: string, known: ReadonlySet<string>): string | undefined {
  const found = [...known].filter((path) => path.endsWith(`/${name}`));
  return name !== '' && found.length === 1 ? found[0] : undefined;
}
