import type { NewRepositories } from '#gateway/new-repositories';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';

const ADDED = 'new repository';
const TAKE = 'take a new repository';
const CREATE = 'create a repository';

/** Lets workers use the list of this process. */
export function shareRepositories(desk: Desk, repositories: NewRepositories): void {
  // The types of values are those of the function below.
  desk.onTold(ADDED, (key) => repositories.add(key as string));
  desk.onAsked(TAKE, async (key) => ({ value: await repositories.take(key as string) }));
  desk.onAsked(CREATE, async (key) => {
    const turn = await repositories.turn(key as string);
    return { value: turn.hasWaited, release: () => turn[Symbol.dispose]() };
  });
}

/** Returns the list of the supervisor. */
export function repositoriesOf(link: Link): NewRepositories {
  return {
    add: (key) => link.tell(ADDED, key),
    take: async (key) => (await link.ask(TAKE, key)).value === true,
    turn: async (key) => {
      const held = await link.ask(CREATE, key);
      return { hasWaited: held.value === true, [Symbol.dispose]: () => held.release() };
    },
  };
}
