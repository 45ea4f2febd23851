import { GitalyError } from '#base/gitaly-error';

/** GitLab's values. @see GitLab: Gitlab::GitalyClient::CircuitBreaker */
const WINDOW_MS = 60_000;
const MIN_CALLS = 5;
const MIN_REFUSED_SHARE = 0.5;
const OPEN_MS = 60_000;

interface Circuit {
  /** Start of the window: calls are counted per minute of the clock. */
  window: number;
  calls: number;
  refused: number;
  openUntilMs: number;
  /** True if it was open and no call has succeeded since: the next refusal opens it again. */
  isOnTrial: boolean;
}

/**
 * Protects an overloaded server: after half of the calls of a minute (at least five) were refused
 * with RESOURCE_EXHAUSTED, further ones fail for a minute without being sent. Each kind of call has
 * its own circuit.
 */
export class CircuitBreakers {
  readonly #circuits = new Map<string, Circuit>();
  readonly #now: () => number;

  /** @param now milliseconds, for tests. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Checks the circuit before a call. @throws {GitalyError} RESOURCE_EXHAUSTED while it is open.
   */
  check(name: string): void {
    if (this.#isOpen(this.#circuits.get(name))) {
      throw new GitalyError('RESOURCE_EXHAUSTED', 'Gitaly service temporarily unavailable. Circuit is open');
    }
  }

  /** Records a successful call. */
  noteAnswer(name: string): void {
    const circuit = this.#counting(name);
    circuit.calls++;
    circuit.isOnTrial = false;
  }

  /** Records a call that was refused with RESOURCE_EXHAUSTED. */
  noteRefusal(name: string): void {
    const circuit = this.#counting(name);
    circuit.calls++;
    circuit.refused++;
    const isTooMuch = circuit.calls >= MIN_CALLS && circuit.refused >= circuit.calls * MIN_REFUSED_SHARE;
    if (this.#isOpen(circuit) || !(isTooMuch || circuit.isOnTrial)) return;
    circuit.openUntilMs = this.#now() + OPEN_MS;
    circuit.isOnTrial = true;
  }

  #isOpen(circuit: Circuit | undefined): boolean {
    return circuit !== undefined && this.#now() < circuit.openUntilMs;
  }

  #counting(name: string): Circuit {
    const window = Math.floor(this.#now() / WINDOW_MS);
    const circuit = this.#circuits.get(name) ?? {
      window,
      calls: 0,
      refused: 0,
      openUntilMs: 0,
      isOnTrial: false,
    };
    this.#circuits.set(name, circuit);
    if (circuit.window !== window) Object.assign(circuit, { window, calls: 0, refused: 0 });
    return circuit;
  }
}
