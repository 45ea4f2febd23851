import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessEntry } from '../access/access-entry.ts';
import { gitProtocol } from '../git-protocol.ts';
import type { Route } from './route.ts';

/** Statuses of pages and files that the access log has: those of refusals, and of failures. */
const REPORTED: ReadonlySet<number> = new Set([401, 403, 429, 500, 502, 503]);

/** Notes what a request wants. */
export function describeRequest(access: AccessEntry, route: Route, request: IncomingMessage): void {
  if (route.kind === 'answer') return;
  if (route.kind !== 'info-refs' && route.kind !== 'service') {
    access.purpose = route.kind;
    return;
  }
  access.purpose = route.service;
  access.repository = route.path;
  if (route.kind === 'service') access.part = 'request';
  else if (route.service === 'git-upload-pack' && isVersion2(request)) access.part = 'capabilities';
}

function isVersion2({ headers }: IncomingMessage): boolean {
  return gitProtocol(headers['git-protocol']) === 'version=2';
}

/** Reports a request of git or of the API, and any other one that was refused or has changed something. */
export function reportRequest(access: AccessEntry, route: Route, { statusCode }: ServerResponse): void {
  const isWhole = access.change !== undefined || ['api', 'info-refs', 'lfs', 'service'].includes(route.kind);
  if (!isWhole && route.kind !== 'answer') {
    if (!REPORTED.has(statusCode)) return;
    access.ended(statusCode < 500 ? 'refused' : 'failed', `status ${statusCode}`);
  }
  access.report();
}
