import type { GitalyConfig } from '#platform/config/load-config';

/** Returns why a server with this configuration cannot have several processes, if that is so. */
export function oneProcessReason(
  { cgroups, loadShedder }: GitalyConfig,
  platform: NodeJS.Platform = process.platform,
): string | undefined {
  if (platform === 'win32') return 'this system cannot pass open connections to other processes';
  if (cgroups.repositories.count > 0)
    return 'the control groups of [cgroups] are not shared between processes yet';
  if (loadShedder.enabled) return 'the limits of [load_shedder] are not shared between processes yet';
  return undefined;
}
