import {
  AUTHORIZATION,
  CALL_SITE,
  CLIENT_NAME,
  CLIENT_NAME_OLD,
  DEADLINE_TYPE,
  REMOTE_IP,
  USER_ID,
  USERNAME,
} from '#rpc/common/header-names';
import type { MethodInfo, MethodKind } from '#wire/method-info';
import type { ServerCall } from '../server-call.ts';

/** Receives facts by Gitaly's names of log fields and tags; what a call lacks is `undefined`. */
export interface Facts {
  add(name: string, value: string | undefined): void;
}

/** Returns the facts that a function adds, as an object. */
export function collectFacts(addTo: (facts: Facts) => void): Record<string, string> {
  const found: Record<string, string> = {};
  addTo({
    add: (name, value) => {
      if (value !== undefined) found[name] = value;
    },
  });
  return found;
}

/** Adds what the headers of a call contain about its caller. */
export function addCallerFacts(
  facts: Facts,
  { headers, deadlineMs }: Pick<ServerCall, 'headers' | 'deadlineMs'>,
): void {
  const given = (key: string): string | undefined => headers.get(key) || undefined;
  facts.add('grpc.meta.client_name', (headers.get(CLIENT_NAME) ?? headers.get(CLIENT_NAME_OLD)) || undefined);
  facts.add('grpc.meta.call_site', given(CALL_SITE));
  facts.add('grpc.meta.deadline_type', deadlineType(headers.get(DEADLINE_TYPE), deadlineMs));
  facts.add('grpc.meta.auth_version', headers.has(AUTHORIZATION) ? 'v2' : undefined);
  facts.add('remote_ip', given(REMOTE_IP));
  facts.add('user_id', given(USER_ID));
  facts.add('username', given(USERNAME));
}

/** Adds the names of a call's method. @param kind of the call, which a proxy may serve otherwise. */
export function addMethodFacts(facts: Facts, method: MethodInfo, kind: MethodKind = method.kind): void {
  facts.add('grpc.request.fullMethod', method.path);
  facts.add('grpc.meta.method_type', kind);
  if (method.operation === 'unknown') return;
  facts.add('grpc.meta.method_operation', method.operation);
  facts.add('grpc.meta.method_scope', method.scope);
}

/** Adds the repository and the object pool of a call, all their names even if they are empty. */
export function addTargetFacts(facts: Facts, { targets }: Pick<ServerCall, 'targets'>): void {
  const { repository, pool, storageName, partitionId } = targets ?? {};
  if (repository !== undefined) {
    facts.add('grpc.request.repoStorage', repository.storageName);
    facts.add('grpc.request.repoPath', repository.relativePath);
    facts.add('grpc.request.glRepository', repository.glRepository);
    facts.add('grpc.request.glProjectPath', repository.glProjectPath);
  }
  if (pool !== undefined) {
    facts.add('grpc.request.pool.storage', pool.storageName);
    facts.add('grpc.request.pool.relativePath', pool.relativePath);
    facts.add('grpc.request.pool.sourceProjectPath', pool.glProjectPath);
  }
  facts.add('grpc.request.StorageName', storageName || undefined);
  facts.add('grpc.request.partition_id', partitionId || undefined);
}

/**
 * Returns the kind of a call's deadline: `none` without a deadline, whatever the client sends;
 * otherwise the value that it sends.
 */
export function deadlineType(given: string | undefined, deadlineMs: number | undefined): string | undefined {
  return deadlineMs === undefined ? 'none' : given || undefined;
}
