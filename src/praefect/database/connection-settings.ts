import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import type { PraefectConfig } from '../config/schema.ts';

type DatabaseConfig = PraefectConfig['database'];
type ConnectionConfig = Omit<DatabaseConfig, 'sessionPooled' | 'hostNoProxy' | 'portNoProxy'>;

/** Where and as whom to connect. Omitted settings have libpq's defaults: PGHOST and similar. */
export interface ConnectionSettings {
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  /** TLS settings; `false` without TLS. */
  readonly ssl: ConnectionOptions | false;
  /** Allows a connection without TLS to a server that has none. */
  readonly mayFallBack: boolean;
}

/** Returns the settings of `[database]`, for statements. */
export function pooledSettings(config: DatabaseConfig): Promise<ConnectionSettings> {
  return settingsOf(config);
}

/**
 * Returns the settings of `[database.session_pooled]`, for LISTEN: a pooler between would give each
 * statement another session.
 */
export function directSettings(config: DatabaseConfig): Promise<ConnectionSettings> {
  const { sessionPooled: direct, hostNoProxy, portNoProxy } = config;
  return settingsOf({
    host: direct.host || hostNoProxy || config.host,
    port: direct.port || portNoProxy || config.port,
    user: direct.user || config.user,
    password: direct.password ?? config.password,
    dbname: direct.dbname || config.dbname,
    sslmode: direct.sslmode || config.sslmode,
    sslcert: direct.sslcert || config.sslcert,
    sslkey: direct.sslkey || config.sslkey,
    sslrootcert: direct.sslrootcert || config.sslrootcert,
  });
}

async function settingsOf(config: ConnectionConfig): Promise<ConnectionSettings> {
  const { host, port, user, password, dbname } = config;
  const { PGHOST = '', PGSSLMODE = '' } = process.env;
  const mode = config.sslmode || PGSSLMODE || 'prefer';
  const isLocal = (host || PGHOST).startsWith('/');
  return {
    ...(host !== '' && { host }),
    ...(port !== 0 && { port }),
    ...(user !== '' && { user }),
    ...(password !== undefined && { password: password.reveal() }),
    ...(dbname !== '' && { database: dbname }),
    ssl: isLocal ? false : await tlsOptions(mode, config),
    mayFallBack: mode === 'prefer',
  };
}

async function tlsOptions(mode: string, config: ConnectionConfig): Promise<ConnectionOptions | false> {
  const { sslcert, sslkey, sslrootcert } = config;
  const files = {
    ...(sslcert !== '' && { cert: await readFile(sslcert) }),
    ...(sslkey !== '' && { key: await readFile(sslkey) }),
    ...(sslrootcert !== '' && { ca: await readFile(sslrootcert) }),
  };
  switch (mode) {
    case 'disable':
    case 'allow':
      return false;
    case 'prefer':
      return { ...files, rejectUnauthorized: false };
    case 'require':
      // With root certificates it checks them, as libpq does.
      return { ...files, rejectUnauthorized: sslrootcert !== '', checkServerIdentity: () => undefined };
    case 'verify-ca':
      return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...files, rejectUnauthorized: true };
    default:
      throw new Error(`sslmode is invalid: ${JSON.stringify(mode)}`);
  }
}
