import { quote } from '#base/go/quote';
import { findHierarchy } from '../cgroups/hierarchy.ts';
import { directoryExists } from './checks.ts';
import { DEFAULT_MOUNT_POINT } from './schema/limits.ts';
import type { ConfigValues } from './schema/schema.ts';

/**
 * Returns the problem of a mount point that has no control groups. The default one may lack them: a
 * machine without control groups runs git without limits, as in Gitaly.
 */
export function mountPointProblem({ mountpoint, repositories }: ConfigValues['cgroups']): string | undefined {
  if (repositories.count < 1 || mountpoint === DEFAULT_MOUNT_POINT) return undefined;
  const missing = directoryExists(mountpoint);
  if (missing !== undefined) return missing;
  return findHierarchy(mountpoint) === undefined ? `no control groups: ${quote(mountpoint)}` : undefined;
}
