import { flag, text } from '#base/shape';
import type { NewRepositories } from '#gateway/new-repositories';
import type { Desk } from '#workers/desk';
import type { Link } from '#workers/link';
import { answer, asked, held, protocol, remote, told } from '#workers/protocol';

/** Requests of workers for the list of new repositories, which the supervisor has. */
const NEW_REPOSITORIES = protocol('new repositories', {
  add: told(text),
  take: asked(text, flag),
  /** The worker has the turn until it releases it. The value is true if it had to wait. */
  turn: held(text, flag),
});

/** Lets workers use the list of this process. */
export function shareRepositories(desk: Desk, repositories: NewRepositories): void {
  answer(desk, NEW_REPOSITORIES, {
    add: (key) => repositories.add(key),
    take: (key) => repositories.take(key),
    async turn(key) {
      const turn = await repositories.turn(key);
      return { value: turn.hasWaited, release: () => turn[Symbol.dispose]() };
    },
  });
}

/** Returns the list of the supervisor. */
export function repositoriesOf(link: Link): NewRepositories {
  const { add, take, turn } = remote(link, NEW_REPOSITORIES);
  return {
    add,
    take,
    async turn(key) {
      const { release, value: hasWaited } = await turn(key);
      return { hasWaited, [Symbol.dispose]: release };
    },
  };
}
