import { JsonFields } from '#base/json-fields';
import type { ObjectPoolMember, ObjectPoolQuery } from './internal-api.ts';

/** Builds the query string of `GET /gitaly/object_pool_members`, keys in Go's order. */
export function poolQuery({ storageName, poolPaths }: ObjectPoolQuery): string {
  const query = new URLSearchParams(poolPaths.map((path) => ['disk_paths[]', path]));
  query.append('storage', storageName);
  query.append('upstream_only', 'true');
  return query.toString();
}

/** Reads the response: lists of members by the path of their pool. */
export function poolMembers(body: JsonFields): Map<string, readonly ObjectPoolMember[]> {
  return new Map(
    body.entries().map(([pool, members]) => [pool, Array.isArray(members) ? members.map(poolMember) : []]),
  );
}

function poolMember(item: unknown): ObjectPoolMember {
  const member = JsonFields.of(item) ?? JsonFields.NONE;
  return { relativePath: member.text('relative_path') ?? '', isPublic: member.flag('public') === true };
}
