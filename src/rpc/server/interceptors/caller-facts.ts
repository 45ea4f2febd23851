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
import type { ServerCall } from '../server-call.ts';
import type { RequestTarget } from './request-target.ts';

/** Values by Gitaly's names of log fields and tags; what a call lacks is absent. */
export type CallFacts = Readonly<Record<string, string>>;

/** Returns what the headers of a call tell about its caller. */
export function callerFacts({ headers }: Pick<ServerCall, 'headers'>): CallFacts {
  const given: readonly (readonly [string, string | undefined])[] = [
    ['grpc.meta.client_name', headers.get(CLIENT_NAME) ?? headers.get(CLIENT_NAME_OLD)],
    ['grpc.meta.call_site', headers.get(CALL_SITE)],
    ['grpc.meta.deadline_type', headers.get(DEADLINE_TYPE)],
    ['grpc.meta.auth_version', headers.has(AUTHORIZATION) ? 'v2' : undefined],
    ['remote_ip', headers.get(REMOTE_IP)],
    ['user_id', headers.get(USER_ID)],
    ['username', headers.get(USERNAME)],
  ];
  const facts: Record<string, string> = {};
  for (const [name, value] of given) if (value !== undefined && value !== '') facts[name] = value;
  return facts;
}

/** Returns the names of a call's method. */
export function methodFacts({ method }: Pick<ServerCall, 'method'>): CallFacts {
  const facts: Record<string, string> = {
    'grpc.request.fullMethod': method.path,
    'grpc.meta.method_type': method.kind,
  };
  if (method.operation !== 'unknown') {
    facts['grpc.meta.method_operation'] = method.operation;
    facts['grpc.meta.method_scope'] = method.scope;
  }
  return facts;
}

/** Returns the repository of a call, all four names even if they are empty. */
export function targetFacts(target: RequestTarget | undefined): CallFacts {
  if (target === undefined) return {};
  return {
    'grpc.request.repoStorage': target.storageName,
    'grpc.request.repoPath': target.relativePath,
    'grpc.request.glRepository': target.glRepository,
    'grpc.request.glProjectPath': target.glProjectPath,
  };
}
