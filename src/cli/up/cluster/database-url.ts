import { GatewayArgumentError } from '../gateway-options.ts';

/** Keys of `[database]`. */
export type DatabaseKeys = Readonly<Record<string, string | number>>;

/** Parameters of a URL that are keys, too. */
const PARAMETERS: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'password',
  'dbname',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
]);
/** libpq accepts a user without a host, which a URL may not have. */
const URL_FORM =
  /^postgres(?:ql)?:(?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/?]*))?@)?(?<host>\[[\d:a-f.]+\]|[^:@/?]*)(?::(?<port>\d*))?)?(?:\/(?<dbname>[^/?]*))?(?:\?(?<parameters>.*))?$/i;
const EXPECTED =
  '--database: expected a URL such as postgresql://praefect@db.example.com/praefect_production';

/**
 * Parses the URL of a PostgreSQL database as libpq does. Parts that it does not have are those of
 * the environment: PGHOST, PGUSER, PGPASSWORD.
 *
 * @throws {GatewayArgumentError} which does not contain the URL: a password may be in it.
 */
export function databaseKeys(text: string): DatabaseKeys {
  const parts = URL_FORM.exec(text)?.groups;
  if (parts === undefined) throw new GatewayArgumentError(EXPECTED);
  const { dbname = '', host = '', parameters = '', password = '', port = '', user = '' } = parts;
  const keys: Record<string, string> = {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port,
    user,
    password,
    dbname,
  };
  for (const [key, value] of Object.entries(keys)) keys[key] = decoded(value);
  for (const [key, value] of new URLSearchParams(parameters)) {
    if (!PARAMETERS.has(key))
      throw new GatewayArgumentError(
        `--database: the parameter ${key} is not supported; these are: ${[...PARAMETERS].join(', ')}`,
      );
    keys[key] = value;
  }
  const given = Object.entries(keys).filter(([, value]) => value !== '');
  return Object.fromEntries(given.map(([key, value]) => [key, key === 'port' ? Number(value) : value]));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new GatewayArgumentError(EXPECTED);
  }
}
