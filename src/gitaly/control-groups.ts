import type { ChooseControlGroup } from '#git/command/git';
import type { ControlGroups } from '#platform/cgroups/control-groups';
import type { GitalyConfig } from '#platform/config/load-config';

/** Separates the storage's name from the path, and the words of a command without a repository. */
const SEPARATOR = '/';

/** Returns the choice of a group for each command: by storage and relative path, as Gitaly does. */
export function controlGroupOf(groups: ControlGroups, { storage }: GitalyConfig): ChooseControlGroup {
  return (argv, repository) => {
    if (repository === undefined) return groups.groupFor(argv.map(String).join(SEPARATOR));
    const found = storage.find(({ path }) => repository.path.startsWith(`${path}/`));
    const key = found && [found.name, repository.path.slice(found.path.length + 1)].join(SEPARATOR);
    return groups.groupFor(key ?? repository.path);
  };
}
