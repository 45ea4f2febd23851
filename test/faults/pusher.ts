import assert from 'node:assert/strict';
import { runGit } from '#testkit/repositories/run-git';
import { type Arena, client, commit } from './arena.ts';

/**
 * A work tree that pushes commits to its own repository, and knows which commits the server may
 * have.
 */
export class Pusher {
  readonly name: string;
  readonly #arena: Arena;
  readonly #work: string;
  #acknowledged: string;
  #latest: string;

  private constructor(arena: Arena, name: string, work: string, oid: string) {
    this.#arena = arena;
    this.name = name;
    this.#work = work;
    this.#acknowledged = oid;
    this.#latest = oid;
  }

  static async start(arena: Arena, name: string): Promise<Pusher> {
    const work = await arena.pushed(name);
    return new Pusher(arena, name, work, (await client(work, ['rev-parse', 'HEAD'])).stdout.trim());
  }

  /** Pushes until it is stopped. @returns the number of successful pushes. */
  async push(stop: AbortSignal): Promise<number> {
    let count = 0;
    while (!stop.aborted) {
      await this.#commit();
      if ((await client(this.#work, ['push', '-q', 'origin', 'main'], stop)).code !== 0) break;
      this.#acknowledged = this.#latest;
      count += 1;
    }
    return count;
  }

  /**
   * Checks that the reference is the last one that was acknowledged, or the one after it. @returns
   * whether it is the latter.
   */
  async check(): Promise<boolean> {
    const found = await this.#arena.references(this.name, 'refs/heads/');
    const latest = `refs/heads/main ${this.#latest}`;
    assert.ok(
      [latest, `refs/heads/main ${this.#acknowledged}`].includes(found),
      `${found} is neither old nor new`,
    );
    // Everything that the reference needs exists; the rest is checked at the end.
    await runGit([
      '-C',
      this.#arena.serverPath(this.name),
      'rev-list',
      '--objects',
      '--quiet',
      'refs/heads/main',
    ]);
    return found === latest && this.#latest !== this.#acknowledged;
  }

  /** Reports whether git reaches the server: a gateway connects again soon after a restart. */
  async isReachable(): Promise<boolean> {
    return (await client(this.#work, ['ls-remote', '-q', 'origin'])).code === 0;
  }

  async mustPush(): Promise<void> {
    await this.#commit();
    const { code, stderr } = await client(this.#work, ['push', '-q', 'origin', 'main']);
    assert.equal(code, 0, stderr);
    this.#acknowledged = this.#latest;
    assert.equal(await this.#arena.references(this.name, 'refs/heads/'), `refs/heads/main ${this.#latest}`);
  }

  async #commit(): Promise<void> {
    this.#latest = await commit(this.#work, 'more', `${Math.random()}\n`.repeat(5000));
  }
}
