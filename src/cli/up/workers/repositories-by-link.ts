import type { NewRepositories } from '#gateway/new-repositories';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

const ADDED = 'new repository';
const TAKE = 'take a new repository';

/** Lets workers use the list of this process. */
export function shareRepositories(desk: Desk, repositories: NewRepositories): void {
  // The types of values are those of the function below.
  desk.onTold(ADDED, (key) => repositories.add(key as string));
  desk.onAsked(TAKE, async (key) => ({ value: await repositories.take(key as string) }));
}

/** Returns the list of the supervisor. */
export function repositoriesOf(link: Link): NewRepositories {
  return {
    add: (key) => link.tell(ADDED, key),
    take: async (key) => (await link.ask(TAKE, key)).value === true,
  };
}
