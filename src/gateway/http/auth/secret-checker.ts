import { createHmac, randomBytes } from 'node:crypto';
import { Limit } from '#base/limits/limit';
import { BoundedMap } from '#base/memory/bounded-map';
import { ClientSlots } from '#gateway/client-slots';
import type { Slots } from '#gateway/slots';
import { BUSY_ANSWER } from '../failure.ts';
import { HttpRefusal, TOO_MANY } from '../refusal.ts';
import { isSecretOf, type SecretHash } from './password-hash.ts';

/** Maximum number of cached correct passwords: git sends them with every request. */
const MAX_REMEMBERED = 10_000;
/** Maximum number of running checks; Node's pool has four threads, which also read files. */
const MAX_RUNNING = 2;
/**
 * Maximum number of running and waiting checks. More are refused, so that guessing costs the client
 * more than the server.
 */
export const PENDING_CHECKS = { total: 64, perClient: 8 } as const;

/**
 * Checks passwords whose hash is slow to compute. The number of concurrent checks is limited, and
 * each correct password is checked only once.
 */
export class SecretChecker {
  /** Key of the HMACs under which passwords are cached; it is stored nowhere else. */
  readonly #key = randomBytes(32);
  readonly #right = new BoundedMap<string, true>({ maxEntries: MAX_REMEMBERED });
  readonly #pending = new Map<string, Promise<boolean>>();
  readonly #slots: Slots;
  readonly #running = new Limit<string>({ capacity: MAX_RUNNING });

  /** @param slots of waiting checks of all processes of a server; default: only this one's. */
  constructor(slots: Slots = new ClientSlots(PENDING_CHECKS)) {
    this.#slots = slots;
  }

  /**
   * Reports whether `secret` matches `hash`. Concurrent equal checks share one computation.
   *
   * @param hashText identifies the hash; a changed password is computed again
   * @throws {HttpRefusal} 429 or 503 when too many checks wait
   */
  async check(
    hash: SecretHash,
    hashText: string,
    secret: string,
    client: string | undefined,
  ): Promise<boolean> {
    const id = createHmac('sha256', this.#key).update(`${hashText}\0${secret}`).digest('base64');
    if (this.#right.get(id) === true) return true;
    const pending = this.#pending.get(id) ?? this.#start(id, hash, secret, client);
    return await pending;
  }

  #start(id: string, hash: SecretHash, secret: string, client: string | undefined): Promise<boolean> {
    const computing = this.#computeInSlot(id, hash, secret, client).finally(() => this.#pending.delete(id));
    this.#pending.set(id, computing);
    return computing;
  }

  async #computeInSlot(
    id: string,
    hash: SecretHash,
    secret: string,
    client: string | undefined,
  ): Promise<boolean> {
    const slot = await this.#slots.take(client);
    if (slot === 'client') throw new HttpRefusal(TOO_MANY);
    if (slot === 'total') throw new HttpRefusal(BUSY_ANSWER);
    using _ = slot;
    const turn = await this.#running.acquire('');
    const isRight = await isSecretOf(hash, secret).finally(() => turn.release());
    if (isRight) this.#right.set(id, true);
    return isRight;
  }
}
