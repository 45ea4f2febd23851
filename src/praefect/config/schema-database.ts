import { integer, secret, table, text } from '#platform/config/keys';

/** Keys of a connection to PostgreSQL, as in libpq. Empty keys have libpq's default. */
const connectionKeys = {
  host: text({ doc: 'Host name, or the directory of a Unix socket.', default: '', example: '"localhost"' }),
  port: integer({ doc: 'TCP port; 0 means 5432.', default: 0, type: 'uint', example: '5432' }),
  user: text({ doc: 'Role.', default: '', example: '"praefect"' }),
  password: secret({ doc: 'Its password.', example: '"secret"' }),
  dbname: text({ doc: 'Database.', default: '', example: '"praefect_production"' }),
  sslmode: text({
    doc: 'disable, allow, prefer, require, verify-ca or verify-full.',
    default: '',
    example: '"require"',
  }),
  sslcert: text({ doc: 'Path of the client certificate.', default: '', example: '"/path/to/cert"' }),
  sslkey: text({ doc: 'Path of its key.', default: '', example: '"/path/to/key"' }),
  sslrootcert: text({
    doc: 'Path of the certificates that sign the one of the server.',
    default: '',
    example: '"/path/to/rootcert"',
  }),
} as const;

/** `[database]` */
export const databaseTable = table(
  'PostgreSQL, which keeps the state of the cluster. Several Praefects share it.',
  {
    ...connectionKeys,
    session_pooled: table(
      'Connection for notifications, past a pooler such as PgBouncer. Missing keys are those of [database].',
      connectionKeys,
    ),
    host_no_proxy: text({ doc: 'Earlier name of session_pooled.host.', default: '' }),
    port_no_proxy: integer({ doc: 'Earlier name of session_pooled.port.', default: 0, type: 'uint' }),
  },
);
