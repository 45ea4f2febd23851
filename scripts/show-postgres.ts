// Prints which PostgreSQL the tests of a cluster use.

import { findPostgres, NO_POSTGRES } from '#praefect/database/find-postgres';

const { GITALY_PRAEFECT_WITH_DB = '', PGHOST = '' } = process.env;
const used = GITALY_PRAEFECT_WITH_DB === '' ? findPostgres() : `the server of PGHOST=${PGHOST}`;
console.log(`PostgreSQL: ${used ?? `none, so tests of clusters are skipped. ${NO_POSTGRES}`}`);
