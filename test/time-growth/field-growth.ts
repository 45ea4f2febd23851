import type { MethodInfo } from '#wire/method-info';
import type { Campaign } from '../hostile-fields/campaign.ts';
import { callWith } from '../hostile-fields/plan.ts';
import type { HostileShape } from './hostile-shapes.ts';

/** A quadratic time is seconds at the largest size. */
const SIZES = [1 << 16, 1 << 17, 1 << 18] as const;
/** A call that takes less CPU time at the largest size grows in proportion, or does not matter. */
const ENOUGH_MS = 400;
/** Growth from the smallest size to the largest: 4 for a linear time, 16 for a quadratic one. */
const MAX_GROWTH = 8;
/** A growth that is too large is measured again, as often as this: noise goes away … */
const ATTEMPTS = 3;
/** … and is not as large as this. */
const LONG_MS = 2000;

/** Measures how the CPU time of calls grows with the text in one of their fields. */
export class FieldGrowth {
  readonly #campaign: Campaign;
  #isStuck = false;

  constructor(campaign: Campaign) {
    this.#campaign = campaign;
  }

  /** True after a call that has not ended, as one that takes exponential time: nothing else does. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /** Returns what is wrong with the times of a call with a text that grows in one field. */
  async findings(method: MethodInfo, field: string, shape: HostileShape): Promise<string[]> {
    const finding = (what: string): string[] => [
      `${method.path} ${field} with ${JSON.stringify(shape.piece)}: ${what}`,
    ];
    const cpuMs = (size: number): Promise<number> => this.#cpuMs(method, field, shape.build(size));
    if (this.#isStuck) return [];
    let largest = await cpuMs(SIZES[2]);
    if (largest < ENOUGH_MS) return [];
    let timesMs: number[] = [];
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (this.#isStuck) return finding('does not end');
      // The smallest one twice: noise there hides the growth.
      const first = Math.min(await cpuMs(SIZES[0]), await cpuMs(SIZES[0]));
      timesMs = [first, await cpuMs(SIZES[1]), largest];
      if (isLinear(timesMs)) return [];
      if (largest > LONG_MS) break;
      largest = await cpuMs(SIZES[2]);
    }
    return finding(`${timesMs.map(Math.round).join(', ')} ms of CPU time`);
  }

  async #cpuMs(method: MethodInfo, field: string, text: Buffer): Promise<number> {
    if (this.#isStuck) return Number.POSITIVE_INFINITY;
    const { sandbox } = this.#campaign;
    const call = callWith(method, sandbox, field, text, this.#campaign.targetOf(method));
    const { cpuMs, hasEnded } = await this.#campaign.measure(call);
    this.#isStuck = !hasEnded;
    return cpuMs;
  }
}

function isLinear([first = 0, , third = 0]: readonly number[]): boolean {
  return third < MAX_GROWTH * Math.max(first, ENOUGH_MS / MAX_GROWTH);
}
