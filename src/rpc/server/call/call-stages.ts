import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

export interface StagesOwner extends ServerCall {
  /** Called when all stages have started. */
  onBegun(): void;
  /** Called when all stages have ended, with the failure that they leave. */
  onEnded(failure: unknown): void;
}

/** The stages of the interceptors of one call, which begin outermost first and end innermost first. */
export class CallStages {
  readonly #call: StagesOwner;
  /** The stages that have started and not ended, outermost first. */
  readonly #begun: CallStage[] = [];

  constructor(call: StagesOwner) {
    this.#call = call;
  }

  /** Begins the stages from one on. A failure ends those that have started. */
  begin(interceptors: readonly ServerInterceptor[], from = 0): void {
    for (let at = from; at < interceptors.length; at++) {
      let stage: ReturnType<ServerInterceptor>;
      try {
        stage = interceptors[at]?.(this.#call);
      } catch (error) {
        this.end(error);
        return;
      }
      if (stage === undefined) continue;
      if (stage instanceof Promise) {
        stage.then(
          (begun) => this.#enter(begun, interceptors, at + 1),
          (error: unknown) => this.end(error),
        );
        return;
      }
      if (stage.within !== undefined) {
        this.#enter(stage, interceptors, at + 1);
        return;
      }
      this.#begun.push(stage);
    }
    this.#call.onBegun();
  }

  /** Continues inside a stage. */
  #enter(stage: CallStage | undefined, interceptors: readonly ServerInterceptor[], next: number): void {
    if (stage !== undefined) this.#begun.push(stage);
    if (stage?.within === undefined) this.begin(interceptors, next);
    else stage.within(() => this.begin(interceptors, next));
  }

  /** Reports whether no stage runs, so that the request is not inspected. */
  get isEmpty(): boolean {
    return this.#begun.length === 0;
  }

  /** Shows the first request to the stages. Returns it, or a promise of it if a stage waits. */
  showFirst(message: unknown, from = 0): unknown {
    for (let at = from; at < this.#begun.length; at++) {
      const pending = this.#begun[at]?.request?.(this.#call);
      if (pending !== undefined) return pending.then(() => this.showFirst(message, at + 1));
    }
    return message;
  }

  /** Ends the stages, innermost first. */
  end(failure: unknown): void {
    let current = failure;
    for (let stage = this.#begun.pop(); stage !== undefined; stage = this.#begun.pop()) {
      try {
        const pending = stage.end?.(this.#call, current);
        if (pending === undefined) continue;
        const unchanged = current;
        pending.then(
          () => this.end(unchanged),
          (error: unknown) => this.end(error),
        );
        return;
      } catch (error) {
        current = error;
      }
    }
    this.#call.onEnded(current);
  }
}
