import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { PraefectConfig } from '../config/schema.ts';

/** Returns the name of this Praefect among all that share a database. It survives restarts. */
export function praefectName({ listenAddr = '', socketPath = '' }: PraefectConfig): string {
  const host = hostname();
  return host === '' ? randomUUID() : `${host}:${listenAddr || socketPath}`;
}
